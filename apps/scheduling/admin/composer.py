"""The form in which a post is written: what, where, when, and how each network counts it."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.db.models import Q
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import composing, drafting, services
from apps.scheduling.admin.shown import network_label
from apps.scheduling.models import DAY, Candidate, HashtagSet, Media, Post, SocialAccount, Template

LATEST_MEDIA = 12
# One more than services take, so that they can say so.
LATEST_PARTS = drafting.MOST_PARTS + 1
NEVER = "never"
LIMITS: dict[str, str] = {
    "3600": "1 hour",
    "21600": "6 hours",
    "86400": "1 day",
    "604800": "1 week",
    NEVER: "Never too late",
}
# Where a refusal of services is shown in this form.
PLACES = {
    "scheduled_at": "at",
    "too_late_after": "too_late",
    "overrides": "accounts",
    "media": "images",
}


class ComposeForm(forms.Form):
    """A post of one persona, as typed; `draft` makes of it what services take."""

    text = forms.CharField(
        label="Text", required=False, strip=False, widget=forms.Textarea(attrs={"rows": 7})
    )
    link = forms.URLField(label="Link", required=False, max_length=1_000, assume_scheme="https")
    hashtags = forms.CharField(
        label="Hashtags",
        required=False,
        help_text="Plain words, spaces between them. What the text lacks is added at its end.",
    )
    at = forms.DateTimeField(
        label="When",
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    zone = forms.ChoiceField(label="In the time of")
    too_late = forms.ChoiceField(
        label="Too late after", help_text="Later than this after its time, it is not sent at all."
    )
    allow_duplicate = forms.BooleanField(label="Post it although the same is there", required=False)
    sets = forms.MultipleChoiceField(
        label="Hashtag sets", required=False, widget=forms.CheckboxSelectMultiple
    )
    campaign = forms.CharField(
        label="Campaign",
        required=False,
        max_length=80,
        help_text="Its link then says which campaign and network it came from (UTM).",
    )
    text_by_ai = forms.BooleanField(label="The text was made with AI", required=False)
    media_by_ai = forms.BooleanField(
        label="The pictures and videos were made with AI", required=False
    )
    # What the page offers to choose from a disk; what a file is, its content says.
    ACCEPT = "image/jpeg,image/png,image/gif,image/webp,video/mp4,video/quicktime"
    accounts = forms.MultipleChoiceField(label="Accounts", required=False)
    images = forms.MultipleChoiceField(label="Pictures and videos", required=False)

    def __init__(
        self, *args: Any, persona: Persona, post: Post | None, viewer_zone: str, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.persona = persona
        self.as_draft: bool | None = None
        self.own_accounts = list(persona.accounts.order_by("network", "handle"))
        used = Q(posts=post) if post else Q(pk=None)
        latest = Media.objects.order_by("-created_at").values_list("pk", flat=True)[:LATEST_MEDIA]
        chosen = self._chosen()
        wanted = Q(pk__in=list(latest)) | used | Q(pk__in=[pk for pk in chosen if _is_uuid(pk)])
        self.shelf = list(Media.objects.filter(wanted).distinct().order_by("-created_at"))
        self._choices("accounts", {str(each.pk): str(each) for each in self.own_accounts})
        self._choices("images", {str(each.pk): str(each) for each in self.shelf})
        self.tag_sets = list(HashtagSet.objects.filter(Q(persona=None) | Q(persona=persona)))
        self._choices("sets", {str(each.pk): each.name for each in self.tag_sets})
        zones = {persona.time_zone: f"{persona.name}: {persona.time_zone}"}
        zones.setdefault(viewer_zone, f"You: {viewer_zone}")
        self._choices("zone", zones)
        limits = dict(LIMITS)
        if post and post.too_late_after is not None:
            seconds = str(int(post.too_late_after.total_seconds()))
            limits.setdefault(seconds, str(post.too_late_after))
        self._choices("too_late", limits)
        for account in self.own_accounts:
            network = network_label(account.network)
            self.fields[f"text_{account.pk}"] = forms.CharField(
                label=f"Its own text on {network}",
                required=False,
                strip=False,
                widget=forms.Textarea(attrs={"rows": 3}),
            )
            self.fields[f"link_{account.pk}"] = forms.URLField(
                label=f"Its own link on {network}",
                required=False,
                max_length=1_000,
                assume_scheme="https",
            )
            self.fields[f"tags_{account.pk}"] = forms.CharField(
                label=f"Its own hashtags on {network}", required=False
            )
            self.fields[f"alone_{account.pk}"] = forms.BooleanField(
                label="First part only", required=False
            )
        self.post = post

    def _chosen(self) -> list[str]:
        """The media chosen for any part, as typed or as stored."""
        if self.is_bound and isinstance(self.data, QueryDict):
            names = [name for name in self.data if name == "images" or name.startswith("images_")]
            return [pk for name in names for pk in self.data.getlist(name)]
        stored = [self.initial.get("images", []), *self.initial.get("part_images", [])]
        return [pk for each in stored for pk in each]

    def _choices(self, name: str, choices: Mapping[str, str]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(choices.items())

    def draft(self) -> services.Draft:
        """The post as services take it; the form must be valid."""
        data = self.cleaned_data
        chosen = [each for each in self.own_accounts if str(each.pk) in data["accounts"]]
        shelf = {str(each.pk): each for each in self.shelf}
        too_late = data.get("too_late", str(int(DAY.total_seconds())))
        return services.Draft(
            persona=self.persona,
            accounts=chosen,
            scheduled_at=self._moment(),
            text=data.get("text", "").replace("\r\n", "\n"),
            link=data.get("link", ""),
            hashtags=self._hashtags(),
            media=[shelf[pk] for pk in data.get("images", []) if pk in shelf],
            parts=self._parts(),
            overrides=self._overrides(chosen),
            too_late_after=None if too_late == NEVER else timedelta(seconds=int(too_late)),
            campaign=data.get("campaign", ""),
            allow_duplicate=data.get("allow_duplicate", False),
            as_draft=self.as_draft,
            text_by_ai=data.get("text_by_ai"),
            media_by_ai=data.get("media_by_ai"),
        )

    def _moment(self) -> datetime:
        return self.cleaned_data.get("at") or timezone.now()

    def _hashtags(self) -> list[str]:
        typed = _tags(self.cleaned_data.get("hashtags", ""))
        chosen = set(self.cleaned_data.get("sets", []))
        added = [tag for each in self.tag_sets if str(each.pk) in chosen for tag in each.hashtags]
        return composing.with_tags(typed, added) if added else typed

    def _overrides(self, chosen: list[SocialAccount]) -> dict[str, dict[str, Any]]:
        overrides = {}
        for account in chosen:
            pk = str(account.pk)
            text, link, tags = (
                self.cleaned_data.get(f"{name}_{pk}", "") for name in ("text", "link", "tags")
            )
            own: dict[str, Any] = {}
            if text.strip():
                own["text"] = text.replace("\r\n", "\n")
            if link:
                own["link"] = link
            if tags.strip():
                own["hashtags"] = [tag.removeprefix("#") for tag in _tags(tags)]
            if self.cleaned_data.get(f"alone_{pk}"):
                own["parts"] = []
            elif kept := self._stored_override(account).get("parts"):
                # Parts of its own come by the API alone; saving here does not lose them.
                own["parts"] = kept
            if own:
                overrides[pk] = own
        return overrides

    def _stored_override(self, account: SocialAccount) -> dict[str, Any]:
        if self.post is None:
            return {}
        row = self.post.deliveries.filter(account=account, part=0).first()
        return row.override if row else {}

    def part_texts(self) -> list[str]:
        """The texts of the parts that follow, as typed or as stored."""
        if self.is_bound and isinstance(self.data, QueryDict):
            return [text.replace("\r\n", "\n") for text in self.data.getlist("parts")]
        return list(self.initial.get("parts", []))

    def _parts(self) -> list[drafting.Part]:
        shelf = {str(each.pk): each for each in self.shelf}
        parts = [
            drafting.Part(
                text=text, media=[shelf[pk] for pk in self._part_images(number) if pk in shelf]
            )
            for number, text in enumerate(self.part_texts()[:LATEST_PARTS], 1)
        ]
        return [part for part in parts if part.text.strip() or part.media]

    def _part_images(self, number: int) -> list[str]:
        """What is chosen for a later part, as typed or as stored."""
        if self.is_bound and isinstance(self.data, QueryDict):
            return list(self.data.getlist(f"images_{number}"))
        stored = self.initial.get("part_images", [])
        return list(stored[number - 1]) if number <= len(stored) else []

    def part_rows(self) -> list[dict[str, Any]]:
        """The later parts as the page shows them: number, text, the shelf with what is chosen."""
        return [
            {
                "number": number,
                "text": text,
                "chosen": len(chosen := self._part_images(number)),
                "pictures": [(each, str(each.pk) in chosen) for each in self.shelf],
            }
            for number, text in enumerate(self.part_texts(), 1)
        ]

    def show(self, refused: services.Refused) -> None:
        """Put every problem at its field."""
        for name, code, message in refused.problems:
            place = PLACES.get(name, name)
            self.add_error(
                place if place in self.fields else None, forms.ValidationError(message, code=code)
            )

    def is_duplicate(self) -> bool:
        """Whether it was refused for repeating something, so that the page offers the override."""
        return bool(self.data.get("allow_duplicate")) or self.has_error("accounts", "duplicate")

    def rows(self) -> list[dict[str, Any]]:
        """The accounts as the page shows them."""
        chosen = self["accounts"].value() or []
        return [
            {
                "account": each,
                "network": network_label(each.network),
                "chosen": str(each.pk) in chosen,
                "own_text": self[f"text_{each.pk}"],
                "own_link": self[f"link_{each.pk}"],
                "own_tags": self[f"tags_{each.pk}"],
                "alone": self[f"alone_{each.pk}"],
                "is_own": any(
                    self[f"{name}_{each.pk}"].value() for name in ("text", "link", "tags", "alone")
                ),
                "ready": each.status
                in (SocialAccount.Status.WORKING, SocialAccount.Status.UNTESTED),
            }
            for each in self.own_accounts
        ]

    def blank_shelf(self) -> list[tuple[Media, bool]]:
        """The media on offer to a part that is yet to be written."""
        return [(each, False) for each in self.shelf]

    def pictures(self) -> list[tuple[Media, bool]]:
        """The media on offer, and whether each is chosen."""
        chosen = self["images"].value() or []
        return [(each, str(each.pk) in chosen) for each in self.shelf]


def initial_of(post: Post, *, zone: str) -> dict[str, Any]:
    """A stored post as the form shows it."""
    deliveries = list(post.deliveries.filter(part=0))
    places = list(post.postmedia_set.all())
    limit = post.too_late_after
    return {
        "text": post.text,
        "link": post.link,
        "hashtags": " ".join(post.hashtags),
        "at": _wall_clock(post.scheduled_at, zone),
        "zone": zone,
        "too_late": NEVER if limit is None else str(int(limit.total_seconds())),
        "campaign": post.campaign,
        "text_by_ai": post.text_by_ai,
        "media_by_ai": post.media_by_ai,
        "accounts": [str(each.account_id) for each in deliveries],
        "images": [str(each.media_id) for each in places if not each.part],
        "parts": [part["text"] for part in post.parts],
        "part_images": [
            [str(each.media_id) for each in places if each.part == number]
            for number in range(1, 1 + len(post.parts))
        ],
        **initial_overrides({str(each.account_id): each.override for each in deliveries}),
    }


def initial_overrides(overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What accounts have of their own, as the form shows it."""
    initial: dict[str, Any] = {}
    for pk, override in overrides.items():
        initial[f"text_{pk}"] = override.get("text", "")
        initial[f"link_{pk}"] = override.get("link", "")
        initial[f"tags_{pk}"] = " ".join(override.get("hashtags", []))
        initial[f"alone_{pk}"] = override.get("parts") == []
    return initial


def templates_for(persona: Persona) -> list[Template]:
    """The templates that this persona's posts may begin with."""
    return list(Template.objects.filter(Q(persona=None) | Q(persona=persona)))


def _begun_with(persona: Persona, template: str) -> dict[str, Any]:
    for each in templates_for(persona) if template else []:
        if str(each.pk) == template:
            tags = " ".join(each.hashtags)
            return {"text": each.text, "link": each.link, "hashtags": tags}
    return {}


def _written(persona: Persona, candidate: str) -> dict[str, Any]:
    """What the persona wrote and a person means to finish."""
    rows = Candidate.objects.filter(run__persona=persona).exclude(text="")
    row = rows.filter(pk=candidate).first() if _is_uuid(candidate) else None
    if row is None:
        return {}
    chosen = [str(pk) for pk in row.run.accounts.values_list("pk", flat=True)]
    begun: dict[str, Any] = {"text": row.text, "accounts": chosen, "text_by_ai": True}
    if row.at > timezone.now():
        begun["at"] = _wall_clock(row.at, persona.time_zone)
    return begun


def initial_of_new(
    persona: Persona, *, copied: Post | None, template: str = "", day: str = "", candidate: str = ""
) -> dict[str, Any]:
    """A new post: in the persona's zone, an hour from now, on every account that is ready.

    `day` (2026-12-01) asks for nine in the morning of that day, if that is still to come.
    """
    soon = timezone.now() + timedelta(hours=1)
    soon = soon.replace(minute=soon.minute // 15 * 15, second=0, microsecond=0)
    with suppress(ValueError):
        nine = datetime.combine(date.fromisoformat(day), time(9), ZoneInfo(persona.time_zone))
        soon = max(soon, nine)
    initial = initial_of(copied, zone=persona.time_zone) if copied else {}
    ready = persona.accounts.exclude(status=SocialAccount.Status.PAUSED)
    return {
        "accounts": [str(pk) for pk in ready.values_list("pk", flat=True)],
        "too_late": str(int(DAY.total_seconds())),
        "text_by_ai": persona.made_with_ai,
        "media_by_ai": persona.made_with_ai,
        **initial,
        **_begun_with(persona, template),
        "zone": persona.time_zone,
        "at": _wall_clock(soon, persona.time_zone),
        **_written(persona, candidate),
    }


def _wall_clock(moment: datetime, zone: str) -> datetime:
    return timezone.make_naive(moment, ZoneInfo(zone))


def store_uploads(request: HttpRequest, form: ComposeForm, *, by: User) -> dict[str, list[str]]:
    """Keep the files sent with the form; returns their ids by the field of the part that they are
    for (`images`, `images_1`), puts refusals at the field of pictures."""
    stored: dict[str, list[str]] = {}
    for name in request.FILES:
        head, _, part = name.partition("_")
        if head != "uploads" or (part and not part.isdecimal()):
            continue
        alts = request.POST.getlist(f"upload_alt_{part}" if part else "upload_alt")
        for number, file in enumerate(request.FILES.getlist(name)):
            alt = alts[number][:2_000] if number < len(alts) else ""
            try:
                media = services.add_media(
                    cast(BinaryIO, file), size=file.size or 0, alt=alt, by=by
                )
            except services.Refused as refused:
                form.add_error("images", f"{file.name}: {refused}")
            else:
                place = f"images_{part}" if part else "images"
                stored.setdefault(place, []).append(str(media.pk))
    return stored


def _tags(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
