"""Against a Nostr relay from PyPI: what Gator publishes is there, and there once."""

import dataclasses
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.core.fields import Sealed
from apps.personas.models import Persona
from apps.scheduling import publishing, recovery, services
from apps.scheduling.models import Delivery, SocialAccount
from apps.scheduling.publishers import nostr_relay
from apps.scheduling.publishers.base import Account, Outgoing, Permanent, Posted, Unconfirmed
from apps.scheduling.publishers.nostr import Nostr
from apps.scheduling.publishers.nostr_event import Event, Signer, is_genuine
from tests.networks import servers
from tests.networks.conftest import CACHE, HERE
from tests.networks.test_bluesky import attachment, picture

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a relay of our own, empty, for the whole module."""
    CACHE.mkdir(parents=True, exist_ok=True)
    home, port = tmp_path_factory.mktemp("nostr"), servers.free_port()
    python = servers.installed(CACHE, "nostr", HERE / "nostr" / "requirements.txt")
    config = servers.written(HERE / "nostr" / "config.yaml", home, port)
    command = [str(python.parent / "nostr-relay"), "-c", str(config), "serve"]

    def answers() -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", port)) == 0

    with servers.running(command, home, answers=answers):
        yield f"ws://127.0.0.1:{port}"


@pytest.fixture
def account(relay: str, settings: Settings, request: pytest.FixtureRequest) -> Account:
    """A new key for each test."""
    settings.GATOR_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    number = request.session.items.index(request.node) + 1
    credentials = {"private_key": f"{number:064x}", "relays": relay}
    return Account(id="1", handle="luna", credentials=credentials)


def outgoing(**changes: Any) -> Outgoing:
    given = {"key": Nostr().new_key(), "text": "Good morning", "created_at": datetime.now(UTC)}
    return Outgoing(**{**given, **changes})


def there(account: Account) -> list[Event]:
    """Every note of this author that anybody can read."""
    signer = Signer(bytes.fromhex(account.credentials["private_key"]))
    with nostr_relay.connected(account.credentials["relays"], signer, seconds=10) as relay:
        return relay.ask({"authors": [signer.public], "kinds": [1]})


def test_a_post_with_everything_is_there_once_though_sent_twice(account: Account) -> None:
    url = "https://gator.example/media/fog.jpg"
    post = outgoing(
        text='Névoa 🌫️, 霧! "fog"\n\ttwice \\ once',
        link="https://example.com/fog?a=1",
        hashtags=("fog",),
        attachments=(dataclasses.replace(attachment(picture()), url=url),),
    )
    post = dataclasses.replace(post, progress={"media": {"0": url}})
    first = Nostr().publish(account, post)
    assert Nostr().publish(account, post) == first
    (note,) = there(account)
    assert is_genuine(note)
    assert (note["id"], note["content"]) == (first.remote_id, f"{post.full_text}\n\n{url}")
    assert [tag[0] for tag in note["tags"]] == ["t", "imeta", "gator.key"]


def test_testing_says_who_we_are(account: Account) -> None:
    with closing(Nostr()) as nostr:
        identity = nostr.test(account)
    assert identity.handle.startswith("npub1")
    assert identity.facts["relays"] == [account.credentials["relays"]]


class CutsAnswers(nostr_relay.Relay):
    """The relay takes the event in, but its answer is lost on the way."""

    def _verdict(self, event: Event) -> tuple[bool, str]:
        self._silent()


def test_forty_posts_whose_answers_were_lost_are_each_there_once(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        post = outgoing(text=f"Post {number}")
        with monkeypatch.context() as cut:
            cut.setattr(nostr_relay, "Relay", CutsAnswers)
            with pytest.raises(Unconfirmed):
                Nostr().publish(account, post)
        Nostr().publish(account, post)
    assert sorted(note["content"] for note in there(account)) == sorted(
        f"Post {number}" for number in range(40)
    )


def test_a_post_is_found_by_its_id_only_once_it_is_there(account: Account) -> None:
    post = outgoing()
    assert Nostr().find(account, post, post.created_at) is None
    receipt = Nostr().publish(account, post)
    assert Nostr().find(account, post, post.created_at) == receipt


def test_the_relay_refuses_what_is_too_old(account: Account) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=4_000)
    with pytest.raises(Permanent):
        Nostr().publish(account, outgoing(created_at=long_ago))
    assert there(account) == []


def test_a_deleted_post_is_gone(account: Account) -> None:
    receipt = Nostr().publish(account, outgoing())
    posted = Posted(key="k", remote_id=receipt.remote_id, published_at=datetime.now(UTC))
    Nostr().unpublish(account, posted)
    Nostr().unpublish(account, posted)
    assert there(account) == []


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_died_after_sending_leaves_one_post(
    luna: Persona, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = SocialAccount.objects.create(
        persona=luna,
        network="nostr",
        handle="luna",
        credentials=Sealed.of(dict(account.credentials)),  # type: ignore[misc]
    )
    past = timezone.now() - timedelta(seconds=1)
    draft = services.Draft(persona=luna, accounts=[row], text="Good morning", scheduled_at=past)
    delivery = services.schedule_post(draft, by=None).deliveries.get()
    with monkeypatch.context() as dying:
        dying.setattr(publishing, "_record", lambda claim, group: {})
        publishing.publish([delivery.pk])
    assert len(there(account)) == 1
    long_ago = timezone.now() - timedelta(hours=1)
    Delivery.objects.filter(state=Delivery.State.SENDING).update(lease_until=long_ago)
    recovery.reap()
    recovery.reconcile()
    publishing.publish([delivery.pk])
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.PUBLISHED, delivery.error
    (note,) = there(account)
    assert note["id"] == delivery.remote_id
