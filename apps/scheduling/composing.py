"""From rows to the plain data a publisher is given, and whether it fits the network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings

from apps.core.keyring import KeyMissing
from apps.scheduling import accounts, disclosing, linking, xmp
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


def _attachment(media: Media, *, marked: bool = False) -> Attachment:
    """`marked`: its copy that says it was made with AI, if it is there, in place of the file."""
    marked = marked and bool(media.marked)
    file = media.marked if marked else media.file

    def read() -> bytes:
        with file.open("rb") as opened:
            return bytes(opened.read())

    url = file.url
    return Attachment(
        name=str(media),
        mime=media.mime,
        size=media.marked_size if marked else media.size,
        width=media.width,
        height=media.height,
        alt=media.alt,
        sha256=media.marked_sha256 if marked else media.sha256,
        url=url if "://" in url else settings.GATOR_PUBLIC_URL + url,
        read=read,
    )


def draft(
    *,
    post: Post,
    account: SocialAccount,
    override: dict[str, Any],
    media: Iterable[Media],
    created_at: datetime,
) -> Outgoing:
    """What would go out if it went now; the key is left open."""
    attachments = tuple(_attachment(each) for each in media)
    text = override.get("text", post.text)
    plain = override.get("link", post.link)
    link = linking.of_campaign(plain, network=account.network, campaign=post.campaign)
    if plain != link:
        text = text.replace(plain, link)
    told = _disclosure(post=post, account=account, text=text, pictures=len(attachments))
    if told.media:
        # The marked copy, which may not be there yet, is a little larger.
        attachments = tuple(replace(each, size=each.size + xmp.GROWTH) for each in attachments)
    return Outgoing(
        key="",
        text=text,
        link=link,
        hashtags=tuple(override.get("hashtags", post.hashtags)),
        language=post.persona.language,
        created_at=created_at,
        attachments=attachments,
        label=told.label,
        made_with_ai=told.media if attachments else told.text,
    )


def _disclosure(
    *, post: Post, account: SocialAccount, text: str, pictures: int
) -> disclosing.Disclosure:
    publisher = publishers[account.network]
    return disclosing.of(
        post=post, text=text, pictures=pictures, account=account, publisher=publisher
    )


def with_tags(tags: Sequence[str], added: Sequence[str]) -> list[str]:
    """The hashtags, each once whatever its case."""
    found: dict[str, str] = {}
    for tag in (*tags, *added):
        plain = tag.removeprefix("#")
        found.setdefault(plain.casefold(), plain)
    return list(found.values())


def media_of(post: Post) -> list[Media]:
    """The post's media in their order."""
    return [each.media for each in post.attached]


def freeze(delivery: Delivery, *, now: datetime) -> dict[str, Any]:
    """The content to keep with the delivery, so that every retry sends the very same."""
    post, account = delivery.post, delivery.account
    composed = draft(
        post=post, account=account, override=delivery.override, media=(), created_at=now
    )
    pictures = len(media_of(post))
    told = _disclosure(post=post, account=account, text=composed.text, pictures=pictures)
    return {
        "text": composed.text,
        "link": composed.link,
        "hashtags": list(composed.hashtags),
        "language": composed.language,
        "created_at": composed.created_at.isoformat(),
        "label": told.label,
        "made_with_ai": told.media if pictures else told.text,
        "disclosed": told.as_json(),
    }


def is_complete(delivery: Delivery) -> bool:
    """Whether `complete` has nothing left to do."""
    return not (linking.may_shorten(delivery.frozen) or _unmarked(delivery))


def complete(delivery: Delivery) -> None:
    """What sending needs beside the database: short links, marked copies of pictures.

    It may call the network and writes files: never inside a transaction. Raises Permanent.
    """
    delivery.frozen = linking.shortened(delivery.frozen)
    for media in _unmarked(delivery):
        disclosing.marked_copy(media)


def _unmarked(delivery: Delivery) -> list[Media]:
    if not delivery.frozen.get("disclosed", {}).get("media"):
        return []
    return [media for media in media_of(delivery.post) if not media.marked]


def outgoing_of(delivery: Delivery) -> Outgoing:
    """The frozen post of a delivery, with its key, media and progress."""
    frozen = delivery.frozen
    # What was frozen by an older version says nothing of AI: it stays as it was first sent.
    marked = frozen.get("disclosed", {}).get("media", False)
    return Outgoing(
        key=delivery.key,
        text=frozen["text"],
        link=frozen["link"],
        hashtags=tuple(frozen["hashtags"]),
        language=frozen["language"],
        created_at=datetime.fromisoformat(frozen["created_at"]),
        attachments=tuple(_attachment(each, marked=marked) for each in media_of(delivery.post)),
        label=frozen.get("label", ""),
        made_with_ai=frozen.get("made_with_ai", True),
        progress=delivery.progress,
    )


def problems_of(
    *, post: Post, account: SocialAccount, override: dict[str, Any], media: Sequence[Media]
) -> list[Problem]:
    """What makes this post not fit this account; empty when it fits."""
    outgoing = draft(
        post=post,
        account=account,
        override=override,
        media=media,
        created_at=post.scheduled_at,
    )
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
    outgoing = draft(
        post=post,
        account=account,
        override=override,
        media=media,
        created_at=post.scheduled_at,
    )
    publisher, plain = publishers[account.network], account_of(account, with_credentials=False)
    return Measure(
        count=publisher.count(outgoing.full_text, plain),
        limit=publisher.limits(plain).characters,
        problems=publisher.check(plain, outgoing),
    )
