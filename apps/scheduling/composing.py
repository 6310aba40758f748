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
from apps.scheduling.publishers.base import Account, Attachment, NeedsReconnect, Outgoing, Problem


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


def draft(
    *, post: Post, override: dict[str, Any], media: Iterable[Media], created_at: datetime
) -> Outgoing:
    """What would go out if it went now; the key is left open."""
    return Outgoing(
        key="",
        text=override.get("text", post.text),
        link=override.get("link", post.link),
        hashtags=tuple(override.get("hashtags", post.hashtags)),
        language=post.persona.language,
        created_at=created_at,
        attachments=tuple(_attachment(each) for each in media),
    )


def media_of(post: Post) -> list[Media]:
    """The post's media in their order."""
    return [each.media for each in post.attached]


def freeze(delivery: Delivery, *, now: datetime) -> dict[str, Any]:
    """The content to keep with the delivery, so that every retry sends the very same."""
    composed = draft(post=delivery.post, override=delivery.override, media=(), created_at=now)
    return {
        "text": composed.text,
        "link": composed.link,
        "hashtags": list(composed.hashtags),
        "language": composed.language,
        "created_at": composed.created_at.isoformat(),
    }


def outgoing_of(delivery: Delivery) -> Outgoing:
    """The frozen post of a delivery, with its key, media and progress."""
    frozen = delivery.frozen
    return Outgoing(
        key=delivery.key,
        text=frozen["text"],
        link=frozen["link"],
        hashtags=tuple(frozen["hashtags"]),
        language=frozen["language"],
        created_at=datetime.fromisoformat(frozen["created_at"]),
        attachments=tuple(_attachment(each) for each in media_of(delivery.post)),
        progress=delivery.progress,
    )


def problems_of(
    *, post: Post, account: SocialAccount, override: dict[str, Any], media: Sequence[Media]
) -> list[Problem]:
    """What makes this post not fit this account; empty when it fits."""
    outgoing = draft(post=post, override=override, media=media, created_at=post.scheduled_at)
    return publishers[account.network].check(account_of(account, with_credentials=False), outgoing)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A draft as one network counts it: its length, the most it takes, and what is wrong."""

    count: int
    limit: int | None
    problems: list[Problem]


def measure(
    *, post: Post, account: SocialAccount, override: dict[str, Any], media: Sequence[Media]
) -> Measure:
    """Count and check a draft for one account, exactly as scheduling it would."""
    outgoing = draft(post=post, override=override, media=media, created_at=post.scheduled_at)
    publisher, plain = publishers[account.network], account_of(account, with_credentials=False)
    return Measure(
        count=publisher.count(outgoing.full_text, plain),
        limit=publisher.limits(plain).characters,
        problems=publisher.check(plain, outgoing),
    )
