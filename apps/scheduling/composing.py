"""From rows to the plain data a publisher is given, and whether it fits the network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO, cast

from django.conf import settings

from apps.core.keyring import KeyMissing
from apps.scheduling import accounts, disclosing, linking, xmp
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


def _attachment(media: Media, *, marked: bool = False) -> Attachment:
    """`marked`: its copy that says it was made with AI, if it is there, in place of the file."""
    marked = marked and bool(media.marked)
    file = media.marked if marked else media.file

    def begin() -> BinaryIO:
        # Of its own: two threads that read one media must not share a place in the file.
        return cast(BinaryIO, file.storage.open(str(file.name), "rb"))

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
        open=begin,
        duration=media.duration_ms / 1_000,
    )


def following(post: Post, override: dict[str, Any]) -> list[str]:
    """The texts of the parts after the first, as one account has them."""
    return list(override.get("parts", [part["text"] for part in post.parts]))


def draft(
    *,
    post: Post,
    account: SocialAccount,
    override: dict[str, Any],
    media: Iterable[Media],
    created_at: datetime,
    part: int = 0,
) -> Outgoing:
    """What would go out if it went now; the key is left open.

    Link, hashtags and a label that says it was made with AI go with part 0.
    """
    attachments = tuple(_attachment(each) for each in media)
    text = following(post, override)[part - 1] if part else override.get("text", post.text)
    plain = "" if part else override.get("link", post.link)
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
        hashtags=() if part else tuple(override.get("hashtags", post.hashtags)),
        language=post.persona.language,
        created_at=created_at,
        attachments=attachments,
        label="" if part else told.label,
        made_with_ai=told.media if attachments else told.text,
        reply_to=TO_COME if part else None,
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


def media_of(post: Post, part: int = 0) -> list[Media]:
    """The media of one part in their order."""
    return [each.media for each in post.attached if each.part == part]


def freeze(delivery: Delivery, *, now: datetime) -> dict[str, Any]:
    """The content to keep with the delivery, so that every retry sends the very same."""
    post, account, before = delivery.post, delivery.account, delivery.after
    composed = draft(
        post=post,
        account=account,
        override=delivery.override,
        media=(),
        created_at=now,
        part=delivery.part,
    )
    pictures = len(media_of(post, delivery.part))
    told = _disclosure(post=post, account=account, text=composed.text, pictures=pictures)
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
        "label": composed.label,
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
    return [media for media in media_of(delivery.post, delivery.part) if not media.marked]


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
    # What was frozen by an older version says nothing of AI: it stays as it was first sent.
    marked = frozen.get("disclosed", {}).get("media", False)
    media = media_of(delivery.post, delivery.part)
    return Outgoing(
        key=delivery.key,
        text=frozen["text"],
        link=frozen["link"],
        hashtags=tuple(frozen["hashtags"]),
        language=frozen["language"],
        created_at=datetime.fromisoformat(frozen["created_at"]),
        attachments=tuple(_attachment(each, marked=marked) for each in media),
        reply_to=ReplyTo(id=frozen["reply_to"], root=frozen["thread"]) if delivery.part else None,
        label=frozen.get("label", ""),
        made_with_ai=frozen.get("made_with_ai", True),
        progress=delivery.progress,
    )


def outgoings(
    *,
    post: Post,
    account: SocialAccount,
    override: dict[str, Any],
    media: Sequence[Sequence[Media]],
) -> list[Outgoing]:
    """Every part of a draft as it would go to one account; `media` has a list for each part."""
    return [
        draft(
            post=post,
            account=account,
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
    parts = outgoings(post=post, account=account, override=override, media=media)
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
