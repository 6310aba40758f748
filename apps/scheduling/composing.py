"""From rows to the plain data a publisher is given, and whether it fits the network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from apps.core.keyring import KeyMissing
from apps.scheduling import accounts
from apps.scheduling.models import Delivery, Media, Post, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    NeedsReconnect,
    Outgoing,
    Permanent,
    Problem,
    Publisher,
    ReplyTo,
)

# What a part to come replies to, while that is not out yet.
TO_COME = ReplyTo(id="", root="")


def account_of(row: SocialAccount, *, with_credentials: bool = True) -> Account:
    """The account as publishers see it; raises NeedsReconnect when its key is not here."""
    try:
        credentials = row.credentials.open() if with_credentials else {}
    except KeyMissing as error:
        raise NeedsReconnect(
            "The key that sealed these credentials is not on this machine; connect again.",
            code="key_missing",
        ) from error
    return Account(
        id=str(row.pk),
        handle=row.handle,
        server=row.server,
        credentials=credentials,
        facts=row.facts,
        renew=accounts.renewer(row.pk),
    )


def _attachment(media: Media) -> Attachment:
    def read() -> bytes:
        with media.file.open("rb") as file:
            return bytes(file.read())

    url = media.file.url
    return Attachment(
        name=str(media),
        mime=media.mime,
        size=media.size,
        width=media.width,
        height=media.height,
        alt=media.alt,
        sha256=media.sha256,
        url=url if "://" in url else settings.GATOR_PUBLIC_URL + url,
        read=read,
    )


def following(post: Post, override: dict[str, Any]) -> list[str]:
    """The texts of the parts after the first, as one account has them."""
    return list(override.get("parts", [part["text"] for part in post.parts]))


def draft(
    *,
    post: Post,
    override: dict[str, Any],
    media: Iterable[Media],
    created_at: datetime,
    part: int = 0,
) -> Outgoing:
    """What would go out if it went now; the key is left open. Link and hashtags go with part 0."""
    if part:
        return Outgoing(
            key="",
            text=following(post, override)[part - 1],
            language=post.persona.language,
            created_at=created_at,
            attachments=tuple(_attachment(each) for each in media),
            reply_to=TO_COME,
        )
    return Outgoing(
        key="",
        text=override.get("text", post.text),
        link=override.get("link", post.link),
        hashtags=tuple(override.get("hashtags", post.hashtags)),
        language=post.persona.language,
        created_at=created_at,
        attachments=tuple(_attachment(each) for each in media),
    )


def media_of(post: Post, part: int = 0) -> list[Media]:
    """The media of one part in their order."""
    return [each.media for each in post.attached if each.part == part]


def freeze(delivery: Delivery, *, now: datetime) -> dict[str, Any]:
    """The content to keep with the delivery, so that every retry sends the very same."""
    composed = draft(
        post=delivery.post,
        override=delivery.override,
        media=(),
        created_at=now,
        part=delivery.part,
    )
    before = delivery.after
    follows = (
        {"reply_to": before.remote_id, "thread": before.frozen.get("thread") or before.remote_id}
        if before
        else {}
    )
    return {
        **follows,
        "text": composed.text,
        "link": composed.link,
        "hashtags": list(composed.hashtags),
        "language": composed.language,
        "created_at": composed.created_at.isoformat(),
    }


def outgoing_of(delivery: Delivery) -> Outgoing:
    """The frozen post of a delivery, with its key, media and progress.

    Raises Permanent where it continues a part whose id on the network nobody knows.
    """
    frozen = delivery.frozen
    if delivery.part and not frozen.get("reply_to"):
        raise Permanent(
            "A person found the part before, and its address does not tell the network's id: "
            "nothing can reply to it.",
            code="no_reply_id",
        )
    return Outgoing(
        key=delivery.key,
        text=frozen["text"],
        link=frozen["link"],
        hashtags=tuple(frozen["hashtags"]),
        language=frozen["language"],
        created_at=datetime.fromisoformat(frozen["created_at"]),
        attachments=tuple(_attachment(each) for each in media_of(delivery.post, delivery.part)),
        reply_to=ReplyTo(id=frozen["reply_to"], root=frozen["thread"]) if delivery.part else None,
        progress=delivery.progress,
    )


def outgoings(
    *,
    post: Post,
    override: dict[str, Any],
    media: Sequence[Sequence[Media]],
) -> list[Outgoing]:
    """Every part of a draft as it would go to one account; `media` has a list for each part."""
    return [
        draft(
            post=post,
            override=override,
            media=media[part] if part < len(media) else (),
            created_at=post.scheduled_at,
            part=part,
        )
        for part in range(1 + len(following(post, override)))
    ]


def problems_of(
    *,
    post: Post,
    account: SocialAccount,
    override: dict[str, Any],
    media: Sequence[Sequence[Media]],
) -> list[Problem]:
    """What makes this post not fit this account, part by part; empty when it fits."""
    return measure(post=post, account=account, override=override, media=media).problems


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A draft as one network counts it: each part's length, the most it takes, what is wrong."""

    counts: list[int]
    limit: int | None
    problems: list[Problem]
    # What readers would see, part by part.
    texts: list[str]

    @property
    def count(self) -> int:
        """The first part's length."""
        return self.counts[0]


def measure(
    *,
    post: Post,
    account: SocialAccount,
    override: dict[str, Any],
    media: Sequence[Sequence[Media]],
) -> Measure:
    """Count and check a draft for one account, exactly as scheduling it would."""
    publisher, plain = publishers[account.network], account_of(account, with_credentials=False)
    parts = outgoings(post=post, override=override, media=media)
    problems = publisher.check(plain, parts[0])
    for number, part in enumerate(parts[1:], 2):
        for each in publisher.check(plain, part):
            words = each.message if each.field == "parts" else f"Part {number}: {each.message}"
            problems.append(Problem(field="parts", code=each.code, message=words))
            if each.code == "no_threads":
                # Said once: no other part can be better.
                return _measured(publisher, plain, parts, problems)
    return _measured(publisher, plain, parts, problems)


def _measured(
    publisher: Publisher, plain: Account, parts: list[Outgoing], problems: list[Problem]
) -> Measure:
    texts = [part.full_text for part in parts]
    return Measure(
        counts=[publisher.count(text, plain) for text in texts],
        limit=publisher.limits(plain).characters,
        problems=problems,
        texts=texts,
    )
