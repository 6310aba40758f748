"""Against Synapse: what Gator publishes into a room is there, and there once."""

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.core import http
from apps.core.fields import Sealed
from apps.personas.models import Persona
from apps.scheduling import publishing, recovery, services
from apps.scheduling.models import Delivery, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import NeedsReconnect, Outgoing, Permanent, Unconfirmed
from apps.scheduling.publishers.matrix import Matrix
from tests.networks import synapse
from tests.networks.conftest import CACHE
from tests.networks.synapse import Member
from tests.networks.test_bluesky import attachment, picture
from tests.scheduling.films import film

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Matrix server of our own, empty, for the whole module."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with synapse.running(CACHE, tmp_path_factory.mktemp("synapse")) as address:
        yield address


@pytest.fixture
def member(server: str, settings: Settings, request: pytest.FixtureRequest) -> Member:
    """A new account and a new room for each test."""
    settings.GATOR_ALLOWED_PRIVATE_HOSTS = ["localhost"]
    return Member(server, f"luna{request.session.items.index(request.node)}")


@pytest.fixture
def publisher() -> Iterator[Matrix]:
    with closing(Matrix()) as publisher:
        yield publisher


def outgoing(**changes: Any) -> Outgoing:
    given = {"key": Matrix().new_key(), "text": "Good morning", "created_at": datetime.now(UTC)}
    return Outgoing(**{**given, **changes})


def prepared(publisher: Matrix, member: Member, post: Outgoing) -> Outgoing:
    progress = publisher.prepare(member.account, post, lambda progress: None)
    return dataclasses.replace(post, progress=progress)


def test_the_token_tells_who_we_are(publisher: Matrix, member: Member) -> None:
    identity = publisher.test(member.account)
    assert (identity.handle, identity.facts["room"]) == (member.user, member.room)
    assert identity.facts["image_bytes"] == 1_048_576


def test_a_post_with_everything_is_there_once_though_sent_twice(
    publisher: Matrix, member: Member
) -> None:
    image = picture()
    post = outgoing(
        text="Névoa 🌫️, 霧!",
        link="https://example.com/fog?a=1",
        hashtags=("fog",),
        attachments=(attachment(image), attachment(picture(1), alt="More fog")),
    )
    post = prepared(publisher, member, post)
    first = publisher.publish(member.account, post)
    assert publisher.publish(member.account, post) == first
    text, fog, more = (each["content"] for each in member.messages())
    assert text["body"] == post.full_text
    assert (fog["body"], more["body"]) == ("Fog", "More fog")
    assert member.picture(fog["url"]) == image
    assert member.messages()[0]["event_id"] == first.remote_id


def test_a_video_is_shown_to_the_room(publisher: Matrix, member: Member) -> None:
    content = film(data=b"V" * 200_000)
    video = attachment(content, name="fog.mp4", mime="video/mp4", duration=10.0)
    post = prepared(publisher, member, outgoing(attachments=(video,)))
    first = publisher.publish(member.account, post)
    assert publisher.publish(member.account, post) == first
    _, shown = (each["content"] for each in member.messages())
    assert (shown["msgtype"], shown["info"]["duration"]) == ("m.video", 10_000)
    assert member.picture(shown["url"]) == content


def test_the_limits_we_check_are_the_servers_own(publisher: Matrix, member: Member) -> None:
    for text in ("a" * 59_990, "\n" * 29_990 + "a", "霧" * 19_990):
        assert publisher.check(member.account, outgoing(text=text)) == []
        publisher.publish(member.account, prepared(publisher, member, outgoing(text=text)))
    with pytest.raises(Permanent):
        post = outgoing(text="a" * 66_000)
        publisher.publish(member.account, prepared(publisher, member, post))
    assert len(member.messages()) == 3


def test_a_wrong_token_asks_to_reconnect(publisher: Matrix, member: Member) -> None:
    post = prepared(publisher, member, outgoing())
    member.token = "ended"
    with pytest.raises(NeedsReconnect):
        publisher.publish(member.account, post)


class LosesAnswers(http.CheckedTransport):
    """The server takes the first call of each message in, but its answer is lost on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        path = request.url.path
        if request.method == "PUT" and path not in self.lost:
            self.lost.add(path)
            response.read()
            response.close()
            raise httpx.ReadError("Connection reset by peer")
        return response


def test_forty_posts_whose_answers_were_lost_are_each_there_once(member: Member) -> None:
    with closing(Matrix(transport=LosesAnswers())) as publisher:
        for number in range(40):
            post = prepared(publisher, member, outgoing(text=f"Post {number}"))
            with pytest.raises(Unconfirmed):
                publisher.publish(member.account, post)
            publisher.publish(member.account, post)
    texts = [each["content"]["body"] for each in member.messages()]
    assert texts == [f"Post {number}" for number in range(40)]


def test_a_post_is_found_by_its_key_only_once_it_is_there(
    publisher: Matrix, member: Member
) -> None:
    post = prepared(publisher, member, outgoing())
    since = post.created_at - timedelta(minutes=2)
    assert publisher.find(member.account, post, since) is None
    receipt = publisher.publish(member.account, post)
    assert publisher.find(member.account, post, since) == receipt


def test_another_device_sends_nothing_twice(member: Member) -> None:
    with closing(Matrix(transport=LosesAnswers())) as publisher:
        post = prepared(publisher, member, outgoing())
        with pytest.raises(Unconfirmed):
            publisher.publish(member.account, post)
        member.sign_in_again()
        publisher.publish(member.account, prepared(publisher, member, post))
    assert len(member.messages()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_died_after_sending_leaves_one_post(
    luna: Persona, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = SocialAccount.objects.create(
        persona=luna,
        network="matrix",
        handle=member.user,
        server=member.server,
        credentials=Sealed.of(member.credentials),  # type: ignore[misc]
    )
    past = timezone.now() - timedelta(seconds=1)
    draft = services.Draft(persona=luna, accounts=[account], text="Good morning", scheduled_at=past)
    delivery = services.schedule_post(draft, by=None).deliveries.get()
    with monkeypatch.context() as dying:
        dying.setattr(publishing, "_record", lambda claim, group: {})
        publishing.publish([delivery.pk])
    assert len(member.messages()) == 1
    long_ago = timezone.now() - timedelta(hours=1)
    Delivery.objects.filter(state=Delivery.State.SENDING).update(lease_until=long_ago)
    recovery.reap()
    recovery.reconcile()
    publishing.publish([delivery.pk])
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.PUBLISHED, delivery.error
    (there,) = member.messages()
    assert there["event_id"] == delivery.remote_id
    matrix = publishers["matrix"]
    assert isinstance(matrix, Matrix)
    matrix.close()
