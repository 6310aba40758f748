"""Against Bluesky's own server: what Gator publishes is there, and there once."""

import dataclasses
import hashlib
import io
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone
from PIL import Image

from apps.core import http
from apps.core.fields import Sealed
from apps.personas.models import Persona
from apps.scheduling import publishing, recovery, services
from apps.scheduling.models import Delivery, Media, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    Attachment,
    NeedsReconnect,
    Outgoing,
    Permanent,
    Unconfirmed,
)
from apps.scheduling.publishers.bluesky import Bluesky
from apps.scheduling.uploads import read_image
from tests.networks.conftest import Repository
from tests.scheduling.films import film

pytestmark = pytest.mark.networks


def picture(seed: int = 0, side: int = 64) -> bytes:
    """A PNG that no packing makes small."""
    file = io.BytesIO()
    noise = random.Random(seed).randbytes(side * side * 3)
    Image.frombytes("RGB", (side, side), noise).save(file, "PNG")
    return file.getvalue()


def attachment(content: bytes, *, side: int = 64, alt: str = "Fog", **changes: Any) -> Attachment:
    plain = Attachment(
        name="fog.png",
        mime="image/png",
        size=len(content),
        width=side,
        height=side,
        alt=alt,
        sha256=hashlib.sha256(content).hexdigest(),
        url="",
        open=lambda: io.BytesIO(content),
    )
    return dataclasses.replace(plain, **changes)


def outgoing(**changes: Any) -> Outgoing:
    given = {"key": Bluesky().new_key(), "text": "Good morning", "created_at": datetime.now(UTC)}
    return Outgoing(**{**given, **changes})


@pytest.fixture
def publisher() -> Iterator[Bluesky]:
    with closing(Bluesky()) as publisher:
        yield publisher


def prepared(publisher: Bluesky, repository: Repository, post: Outgoing) -> Outgoing:
    progress = publisher.prepare(repository.account, post, lambda progress: None)
    return dataclasses.replace(post, progress=progress)


def test_the_app_password_tells_who_we_are(publisher: Bluesky, repository: Repository) -> None:
    identity = publisher.test(repository.account)
    assert (identity.handle, identity.remote_id) == (repository.handle, repository.did)
    assert repository.kept["access_jwt"]


def test_a_post_with_everything_is_there_once_though_sent_twice(
    publisher: Bluesky, repository: Repository
) -> None:
    image = picture()
    post = prepared(
        publisher,
        repository,
        outgoing(
            text=f"👨‍👩‍👧 Névoa, {'霧' * 3}! @{repository.handle} and @nobody.test",
            link="https://example.com/fog?a=1",
            hashtags=("fog", "névoa"),
            language="pt",
            attachments=(attachment(image), attachment(picture(1), alt="More fog")),
        ),
    )
    first = publisher.publish(repository.account, post)
    cid = repository.posts()[0]["cid"]
    assert publisher.publish(repository.account, post) == first
    (there,) = repository.posts()
    assert there["cid"] == cid
    assert there["uri"] == first.remote_id
    record = there["value"]
    assert record["text"] == post.full_text
    assert record["langs"] == ["pt"]
    covered = {
        post.full_text.encode()[f["index"]["byteStart"] : f["index"]["byteEnd"]].decode(): f[
            "features"
        ][0]
        for f in record["facets"]
    }
    assert {words: feature["$type"].split("#")[1] for words, feature in covered.items()} == {
        f"@{repository.handle}": "mention",
        "https://example.com/fog?a=1": "link",
        "#fog": "tag",
        "#névoa": "tag",
    }
    assert covered[f"@{repository.handle}"]["did"] == repository.did
    images = record["embed"]["images"]
    assert [each["alt"] for each in images] == ["Fog", "More fog"]
    assert repository.blob(images[0]["image"]["ref"]["$link"]) == image
    assert httpx.get(first.url).json()["uri"] == first.remote_id


def test_a_video_is_one_blob_in_an_embed_of_its_own(
    publisher: Bluesky, repository: Repository
) -> None:
    content = film(data=b"V" * 3_000_000)
    video = attachment(content, name="fog.mp4", mime="video/mp4", duration=10.0)
    post = prepared(publisher, repository, outgoing(attachments=(video,)))
    first = publisher.publish(repository.account, post)
    assert publisher.publish(repository.account, post) == first
    (there,) = repository.posts()
    embed = there["value"]["embed"]
    assert (embed["$type"], embed["alt"]) == ("app.bsky.embed.video", "Fog")
    assert repository.blob(embed["video"]["ref"]["$link"]) == content


def test_a_link_is_a_card(publisher: Bluesky, repository: Repository) -> None:
    publisher.publish(repository.account, outgoing(link="https://example.com/fog"))
    (there,) = repository.posts()
    assert there["value"]["embed"]["external"]["uri"] == "https://example.com/fog"


def test_the_limits_we_check_are_the_servers_own(
    publisher: Bluesky, repository: Repository
) -> None:
    account = repository.account
    for text in ("a" * 300, "🏳️‍🌈" * 200, "e\u0301" * 300):
        assert publisher.check(account, outgoing(text=text)) == []
        publisher.publish(account, outgoing(text=text))
    for text in ("a" * 301, "🏳️‍🌈" * 215):
        assert publisher.check(account, outgoing(text=text))
        with pytest.raises(Permanent):
            publisher.publish(account, outgoing(text=text))
    assert len(repository.posts()) == 3


def test_an_image_of_more_than_two_million_bytes_is_refused(
    publisher: Bluesky, repository: Repository
) -> None:
    image = picture(side=830)
    assert len(image) > 2_000_000
    post = outgoing(attachments=(attachment(image, side=830),))
    assert [problem.code for problem in publisher.check(repository.account, post)] == [
        "media_too_large"
    ]
    with pytest.raises(Permanent):
        publisher.publish(repository.account, prepared(publisher, repository, post))
    assert repository.posts() == []


def test_a_wrong_password_asks_to_reconnect(publisher: Bluesky, repository: Repository) -> None:
    repository.kept["app_password"] = "abcd-efgh-ijkl-mnop"
    with pytest.raises(NeedsReconnect, match="Invalid identifier or password"):
        publisher.publish(repository.account, outgoing())


@pytest.mark.parametrize("tokens", [("access_jwt",), ("access_jwt", "refresh_jwt")])
def test_a_session_that_ended_is_renewed(
    publisher: Bluesky, repository: Repository, tokens: tuple[str, ...]
) -> None:
    publisher.test(repository.account)
    for token in tokens:
        repository.kept[token] = "ended"
    publisher.publish(repository.account, outgoing())
    assert len(repository.posts()) == 1
    assert "ended" not in repository.kept.values()


def test_a_post_is_found_by_its_key_only_once_it_is_there(
    publisher: Bluesky, repository: Repository
) -> None:
    post = outgoing()
    assert publisher.find(repository.account, post, post.created_at) is None
    receipt = publisher.publish(repository.account, post)
    assert publisher.find(repository.account, post, post.created_at) == receipt


class LosesAnswers(http.CheckedTransport):
    """The server takes the first call of each post in, but its answer is lost on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[bytes] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        body = request.content if request.url.path.endswith("putRecord") else b""
        if body and body not in self.lost:
            self.lost.add(body)
            response.read()
            response.close()
            raise httpx.ReadError("Connection reset by peer")
        return response


def test_forty_posts_whose_answers_were_lost_are_each_there_once(repository: Repository) -> None:
    with closing(Bluesky(transport=LosesAnswers())) as publisher:
        for number in range(40):
            post = outgoing(text=f"Post {number}", hashtags=("fog",))
            with pytest.raises(Unconfirmed):
                publisher.publish(repository.account, post)
            publisher.publish(repository.account, post)
    texts = [there["value"]["text"] for there in repository.posts()]
    assert sorted(texts) == sorted(f"Post {number}\n\n#fog" for number in range(40))


# -- The whole path -----------------------------------------------------------------------------


@pytest.fixture
def account(luna: Persona, repository: Repository) -> Iterator[SocialAccount]:
    yield SocialAccount.objects.create(
        persona=luna,
        network="bluesky",
        handle=repository.handle,
        server=repository.server,
        credentials=Sealed.of(repository.kept),  # type: ignore[misc]
    )
    bluesky = publishers["bluesky"]
    assert isinstance(bluesky, Bluesky)
    bluesky.close()


def scheduled(account: SocialAccount, **draft: Any) -> Delivery:
    media: list[Media] = draft.pop("media", [])
    post = services.schedule_post(
        services.Draft(
            persona=account.persona,
            accounts=[account],
            media=media,
            scheduled_at=timezone.now() - timedelta(seconds=1),
            **draft,
        ),
        by=None,
    )
    return post.deliveries.get()


@pytest.mark.django_db(transaction=True)
def test_a_scheduled_post_goes_the_whole_way(
    account: SocialAccount, repository: Repository
) -> None:
    content = picture()
    media = read_image(io.BytesIO(content), size=len(content), alt="Fog over the river")
    media.save()
    delivery = scheduled(
        account,
        text="Good morning 🌫️",
        link="https://example.com/fog",
        hashtags=["lisbon"],
        media=[media],
    )
    publishing.publish([delivery.pk])
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.PUBLISHED, delivery.error
    (there,) = repository.posts()
    assert there["uri"] == delivery.remote_id
    assert there["value"]["text"] == "Good morning 🌫️\n\nhttps://example.com/fog\n\n#lisbon"
    (image,) = there["value"]["embed"]["images"]
    assert image["alt"] == "Fog over the river"
    kept = repository.blob(image["image"]["ref"]["$link"])
    # The same picture, now marked as made with AI.
    assert b"trainedAlgorithmicMedia" in kept and b"trainedAlgorithmicMedia" not in content
    seen, given = (Image.open(io.BytesIO(each)).tobytes() for each in (kept, content))
    assert seen == given
    account.refresh_from_db()
    assert account.status == SocialAccount.Status.WORKING
    assert account.credentials.open()["access_jwt"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_died_after_sending_leaves_one_post(
    account: SocialAccount, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = scheduled(account, text="Good morning", link="https://example.com/fog")
    with monkeypatch.context() as dying:
        dying.setattr(publishing, "_record", lambda claim, group: {})
        publishing.publish([delivery.pk])
    assert len(repository.posts()) == 1
    long_ago = timezone.now() - timedelta(hours=1)
    Delivery.objects.filter(state=Delivery.State.SENDING).update(lease_until=long_ago)
    recovery.reap()
    recovery.reconcile()
    publishing.publish([delivery.pk])
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.PUBLISHED, delivery.error
    (there,) = repository.posts()
    assert there["uri"] == delivery.remote_id
