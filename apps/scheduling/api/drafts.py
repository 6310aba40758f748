"""What a request says of a post, made into a Draft: our own form, and the first description's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.core.rest.serializers import Id, Link, Moment, Strict, Text
from apps.personas.models import Persona
from apps.scheduling import composing
from apps.scheduling.api.accounts import persona_of
from apps.scheduling.api.writing import Hashtags
from apps.scheduling.drafting import MOST_PARTS, Part, parts_of
from apps.scheduling.models import DAY, HashtagSet, Media, Post, SocialAccount, Template
from apps.scheduling.services import Draft

MOST_ACCOUNTS = 100
MOST_MEDIA = 20
LONGEST_TEXT = 100_000
LONGEST_WAIT = timedelta(days=3_650)


class PartInput(Strict):
    """What follows as a reply to the part before: the next of a thread, or a first comment."""

    text = Text(max_length=LONGEST_TEXT, allow_blank=True, trim_whitespace=False, default="")
    media = serializers.ListField(child=Id(), max_length=MOST_MEDIA, default=list)

    def validate_media(self, value: list[Any]) -> list[Media]:
        return found(Media.objects.all(), value, "media file")

    def validate(self, attrs: dict[str, Any]) -> Any:
        return Part(**{"text": "", "media": (), **attrs})


class Override(Strict):
    """One account's own text, link, hashtags, or texts of the parts that follow."""

    text = Text(max_length=LONGEST_TEXT, allow_blank=True, trim_whitespace=False, required=False)
    link = Link(max_length=1_000, allow_blank=True, required=False)
    hashtags = Hashtags(required=False)
    parts = serializers.ListField(
        child=Text(max_length=LONGEST_TEXT, allow_blank=True, trim_whitespace=False),
        max_length=MOST_PARTS,
        required=False,
        help_text="An empty list: this account gets the first part alone.",
    )


class Content(Strict):
    """What is said, by whom and where; when, its subclasses say."""

    persona = Id()
    text = Text(max_length=LONGEST_TEXT, allow_blank=True, trim_whitespace=False, required=False)
    link = Link(max_length=1_000, allow_blank=True, required=False)
    hashtags = Hashtags(required=False)
    accounts = serializers.ListField(child=Id(), allow_empty=False, max_length=MOST_ACCOUNTS)
    media = serializers.ListField(child=Id(), max_length=MOST_MEDIA, required=False)
    parts = serializers.ListField(
        child=PartInput(),
        max_length=MOST_PARTS,
        required=False,
        help_text="What follows as replies, each to the one before; link and hashtags go with the "
        "first.",
    )
    overrides = serializers.DictField(
        child=Override(), required=False, help_text="Per account id: its own text, link, hashtags."
    )
    too_late_after = serializers.DurationField(
        allow_null=True,
        required=False,
        max_value=LONGEST_WAIT,
        format="iso-8601",
        help_text="ISO 8601 (PT2H) or seconds; null is never too late; one day by default.",
    )

    campaign = Text(
        max_length=80,
        allow_blank=True,
        required=False,
        help_text="Puts utm_source, utm_medium and utm_campaign on the link.",
    )
    allow_duplicate = serializers.BooleanField(
        default=False,
        help_text="Post it although an account has the same within 30 days (else 409, duplicate).",
    )
    as_draft = serializers.BooleanField(
        required=False, help_text="true keeps it a draft, false hands a draft in."
    )
    template = Id(required=False, help_text="What the post leaves out is this template's.")
    hashtag_sets = serializers.ListField(
        child=Id(), max_length=20, required=False, help_text="Their hashtags are added."
    )
    text_by_ai = serializers.BooleanField(
        required=False, help_text="The text was made with AI; left out: as the persona has it."
    )
    media_by_ai = serializers.BooleanField(required=False, help_text="The same of the pictures.")

    def validate_persona(self, value: Any) -> Persona:
        return persona_of(value)

    def validate_accounts(self, value: list[Any]) -> list[SocialAccount]:
        return found(SocialAccount.objects.select_related("persona"), value, "account")

    def validate_media(self, value: list[Any]) -> list[Media]:
        return found(Media.objects.all(), value, "media file")

    def validate_template(self, value: Any) -> Template:
        template: Template = found(Template.objects.all(), [value], "template")[0]
        return template

    def validate_hashtag_sets(self, value: list[Any]) -> list[HashtagSet]:
        return found(HashtagSet.objects.all(), value, "hashtag set")

    def validate_overrides(self, value: dict[str, Any]) -> dict[str, Any]:
        overrides = {}
        for key, override in value.items():
            try:
                overrides[str(UUID(key))] = override
            except ValueError:
                message = "Overrides are named by account id."
                raise serializers.ValidationError({key[:60]: message}, "invalid") from None
        return overrides

    def validate_too_late_after(self, value: timedelta | None) -> timedelta | None:
        if value is not None and value < -LONGEST_WAIT:
            raise serializers.ValidationError("Give a time above zero, or null.", "not_positive")
        return value


class PostInput(Content):
    """A post: who says it, what, where and when."""

    scheduled_at = Moment()

    def draft(self, post: Post | None = None) -> Draft:
        """The draft this makes; what a partial request leaves out stays as `post` has it."""
        # Said anew with each request: a partial one leaves defaults out.
        given = {"allow_duplicate": False, **self.validated_data}
        template, sets = given.pop("template", None), given.pop("hashtag_sets", ())
        before = _as_it_is(post) if post and self.partial else {}
        if template is not None:
            before |= {name: getattr(template, name) for name in ("text", "link", "hashtags")}
        draft = Draft(**{**before, **given})
        added = [tag for each in sets for tag in each.hashtags]
        return (
            replace(draft, hashtags=composing.with_tags(draft.hashtags, added)) if added else draft
        )


def found(queryset: Any, ids: Sequence[UUID], what: str) -> list[Any]:
    """The rows of these ids in their order, or an error for each that there is not."""
    rows = queryset.in_bulk(set(ids))
    missing = {
        str(index): serializers.ErrorDetail(f"There is no {what} {pk}.", "unknown")
        for index, pk in enumerate(ids)
        if pk not in rows
    }
    if missing:
        raise serializers.ValidationError(missing)
    return [rows[pk] for pk in ids]


def _as_it_is(post: Post) -> dict[str, Any]:
    deliveries = list(post.deliveries.filter(part=0).select_related("account__persona"))
    parts = parts_of(post.parts, post.postmedia_set.select_related("media"))
    return {
        "persona": post.persona,
        "text": post.text,
        "link": post.link,
        "hashtags": post.hashtags,
        "accounts": [row.account for row in deliveries],
        "media": parts[0].media,
        "parts": parts[1:],
        "scheduled_at": post.scheduled_at,
        "overrides": {str(row.account_id): row.override for row in deliveries if row.override},
        "too_late_after": post.too_late_after,
        "campaign": post.campaign,
        "text_by_ai": post.text_by_ai,
        "media_by_ai": post.media_by_ai,
    }


class SeedInput(Strict):
    """A post as Gator's first description asks for it: platforms instead of accounts."""

    content = Text(
        max_length=LONGEST_TEXT,
        trim_whitespace=False,
        help_text="What to publish: text, or the id of an uploaded picture.",
    )
    caption = Text(max_length=LONGEST_TEXT, allow_blank=True, trim_whitespace=False, default="")
    platforms = serializers.ListField(
        child=Text(max_length=30),
        allow_empty=False,
        max_length=MOST_ACCOUNTS,
        help_text="Networks by name: the persona's accounts there get the post.",
    )
    hashtags = Hashtags(default=list)
    schedule_time = Moment()
    allow_duplicate = serializers.BooleanField(default=False)
    persona = Id(required=False, help_text="May be left out where there is one persona only.")

    def validate_persona(self, value: Any) -> Persona:
        return persona_of(value)

    def draft(self) -> Draft:
        """The draft this makes; the persona's accounts on each platform are looked up."""
        given = self.validated_data
        persona = given.get("persona") or _only_persona()
        text = "\n\n".join(part for part in (given["content"], given["caption"]) if part)
        media: list[Media] = []
        if (picture := _id_in(given["content"])) is not None:
            media = list(Media.objects.filter(pk=picture))
            if not media:
                raise _error("content", f"There is no media file {picture}.", "unknown")
            text = given["caption"]
        return Draft(
            persona=persona,
            accounts=_accounts(persona, given["platforms"]),
            scheduled_at=given["schedule_time"],
            text=text,
            hashtags=given["hashtags"],
            media=media,
            too_late_after=DAY,
            allow_duplicate=given["allow_duplicate"],
        )


def _error(field: str, message: str, code: str) -> serializers.ValidationError:
    return serializers.ValidationError({field: [serializers.ErrorDetail(message, code)]})


def _id_in(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def _only_persona() -> Persona:
    found = list(Persona.objects.active()[:2])
    if len(found) != 1:
        raise _error("persona", "There is more than one persona, or none; name one.", "required")
    return found[0]


def _accounts(persona: Persona, platforms: Sequence[str]) -> list[SocialAccount]:
    rows = SocialAccount.objects.filter(persona=persona, network__in=platforms)
    found = list(
        rows.exclude(status=SocialAccount.Status.PAUSED).select_related("persona").order_by("id")
    )
    there = {account.network for account in found}
    if missing := [name for name in dict.fromkeys(platforms) if name not in there]:
        words = f"{persona} has no account on {', '.join(missing)} that is not paused."
        raise _error("platforms", words, "no_account")
    return found
