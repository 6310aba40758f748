"""A row of a table as a draft, and a post as a row: the columns, and what each may say."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string

from apps.personas.models import Persona
from apps.scheduling.drafting import Draft
from apps.scheduling.models import DAY, Media, Post, SocialAccount

LONGEST_TEXT = 100_000
MOST_HASHTAGS = 50
# What a column may be called; the first name is ours, and the one that an export writes.
NAMES: dict[str, tuple[str, ...]] = {
    "persona": ("persona",),
    "accounts": ("accounts", "account", "platforms", "networks", "platform"),
    "scheduled_at": ("scheduled_at", "schedule_time", "date", "time", "when"),
    "text": ("text", "content", "message", "body"),
    "link": ("link", "url"),
    "hashtags": ("hashtags", "tags"),
    "media": ("media", "pictures", "images"),
    "campaign": ("campaign",),
    "too_late_after": ("too_late_after",),
    "text_by_ai": ("text_by_ai",),
    "media_by_ai": ("media_by_ai",),
    "as_draft": ("as_draft", "draft"),
}
YES, NO = frozenset({"yes", "true", "1", "on"}), frozenset({"no", "false", "0", "off"})
# A spreadsheet takes a cell that begins so for a formula; a quote in front makes it text again.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class RowRefused(Exception):
    """A row that makes no post: the column, and why."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


class Studio:
    """The personas and accounts that rows name, read once."""

    def __init__(self, usual: Persona | None) -> None:
        self.usual = usual
        self.personas = {each.handle: each for each in Persona.objects.all()}
        self.accounts: dict[UUID, list[SocialAccount]] = {}
        for account in SocialAccount.objects.order_by("network", "handle"):
            account.persona = next(
                each for each in self.personas.values() if each.pk == account.persona_id
            )
            self.accounts.setdefault(account.persona_id, []).append(account)
        self.media: dict[UUID, Media | None] = {}

    def persona(self, handle: str) -> Persona:
        found = self.personas.get(handle.removeprefix("@").lower()) if handle else self.usual
        if found is None:
            words = f"There is no persona {handle[:60]!r}." if handle else "Name the persona."
            raise RowRefused("persona", words)
        return found

    def accounts_of(self, persona: Persona, names: Sequence[str]) -> list[SocialAccount]:
        own = self.accounts.get(persona.pk, [])
        if not names:
            raise RowRefused("accounts", "Name networks (wall) or accounts (bluesky:luna).")
        found: dict[UUID, SocialAccount] = {}
        for name in names:
            network, _, handle = name.partition(":")
            fitting = [
                each
                for each in own
                if each.network == network.strip().lower()
                and (each.handle == handle.strip() or not handle)
            ]
            if not fitting:
                raise RowRefused("accounts", f"{persona} has no account {name[:100]!r}.")
            found |= {each.pk: each for each in fitting}
        return list(found.values())

    def media_of(self, ids: Sequence[str]) -> list[Media]:
        found = []
        for each in ids:
            try:
                pk = UUID(each)
            except ValueError:
                raise RowRefused("media", f"{each[:60]!r} is no picture's id.") from None
            if pk not in self.media:
                self.media[pk] = Media.objects.filter(pk=pk).first()
            if (media := self.media[pk]) is None:
                raise RowRefused("media", f"There is no picture {pk}.")
            found.append(media)
        return found


# -- In -----------------------------------------------------------------------------------------


def draft_of(row: Any, studio: Studio) -> Draft:
    """The draft that a row describes; raises RowRefused for what makes none."""
    if not isinstance(row, Mapping):
        raise RowRefused("", row if isinstance(row, str) else "This is no object.")
    given = {
        name: next((row[each] for each in others if row.get(each) not in (None, "")), "")
        for name, others in NAMES.items()
    }
    persona = studio.persona(_text(given, "persona", 60))
    return Draft(
        persona=persona,
        accounts=studio.accounts_of(persona, _listed(given, "accounts")),
        scheduled_at=_moment(_text(given, "scheduled_at", 60), persona),
        text=_text(given, "text", LONGEST_TEXT),
        link=_link(given),
        hashtags=_hashtags(given),
        media=studio.media_of(_listed(given, "media")),
        campaign=_text(given, "campaign", 80),
        too_late_after=_too_late(_text(given, "too_late_after", 60)),
        text_by_ai=_yes_or_no(given, "text_by_ai"),
        media_by_ai=_yes_or_no(given, "media_by_ai"),
        as_draft=_yes_or_no(given, "as_draft"),
    )


def _text(given: Mapping[str, Any], name: str, longest: int) -> str:
    value = given[name]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise RowRefused(name, "This must be text.")
    text = str(value)
    if text.startswith("'") and text[1:2] in FORMULAS:
        text = text[1:]
    if len(text) > longest:
        raise RowRefused(name, f"This is longer than {longest:,} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowRefused(name, "This holds half a character (a lone surrogate).") from None
    if "\0" in text:
        raise RowRefused(name, "This holds a NUL character.")
    return text if name == "text" else text.strip()


def _listed(given: Mapping[str, Any], name: str) -> list[str]:
    value = given[name]
    if isinstance(value, list):
        if len(value) > 100 or not all(isinstance(each, str) for each in value):
            raise RowRefused(name, "This must be a list of at most 100 texts.")
        return list(value)
    text = _text(given, name, 10_000)
    return [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]


def _hashtags(given: Mapping[str, Any]) -> list[str]:
    words = [word for part in _listed(given, "hashtags") for word in part.split()]
    tags = [word.removeprefix("#") for word in words]
    if len(tags) > MOST_HASHTAGS:
        raise RowRefused("hashtags", f"At most {MOST_HASHTAGS}.")
    for tag in tags:
        if not tag.replace("_", "a").isalnum() or len(tag) > 100:
            raise RowRefused("hashtags", f"{tag[:60]!r}: letters, digits and _ only.")
    return tags


def _link(given: Mapping[str, Any]) -> str:
    link = _text(given, "link", 1_000)
    if link and (not link.startswith(("https://", "http://")) or any(c.isspace() for c in link)):
        raise RowRefused("link", "This is no web address: write it with https://.")
    return link


def _moment(value: str, persona: Persona) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise RowRefused(
            "scheduled_at",
            "This is no time; write 2026-12-01T08:00:00+01:00, or leave the offset out for the "
            "persona's own time.",
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(persona.time_zone))
    if not 2000 < found.year < 2200:
        raise RowRefused("scheduled_at", "This year is out of range.")
    return found


def _too_late(value: str) -> timedelta | None:
    if not value:
        return DAY
    if value.lower() == "never":
        return None
    try:
        found = parse_duration(value)
    except OverflowError:
        found = None
    if found is None or not timedelta() < found <= 3_650 * DAY:
        raise RowRefused("too_late_after", "Write PT2H, 3600 (seconds) or never.")
    return found


def _yes_or_no(given: Mapping[str, Any], name: str) -> bool | None:
    value = given[name]
    if isinstance(value, bool):
        return value
    word = _text(given, name, 10).lower()
    if not word:
        return None
    if word not in YES | NO:
        raise RowRefused(name, "Write yes or no.")
    return word in YES


# -- Out ----------------------------------------------------------------------------------------


def row_of(post: Post) -> dict[str, Any]:
    """The post as a row that `draft_of` takes, with where it stands beside."""
    deliveries = list(post.deliveries.all())
    limit = post.too_late_after
    return {
        "persona": post.persona.handle,
        "accounts": [f"{each.account.network}:{each.account.handle}" for each in deliveries],
        "scheduled_at": post.scheduled_at.isoformat(),
        "text": post.text,
        "link": post.link,
        "hashtags": post.hashtags,
        "media": [str(each.media_id) for each in post.postmedia_set.all()],
        "campaign": post.campaign,
        "too_late_after": "never" if limit is None else duration_iso_string(limit),
        "text_by_ai": post.text_by_ai,
        "media_by_ai": post.media_by_ai,
        "as_draft": post.approval == Post.Approval.DRAFT,
        "approval": post.approval,
        "states": [each.state for each in deliveries],
        "urls": [each.remote_url for each in deliveries if each.remote_url],
    }


def cell_of(value: Any) -> str:
    """A value as a spreadsheet may open it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text
