"""Who speaks: personas, what they know, what they published, and what holds them."""

from typing import ClassVar, Self
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import (
    FileExtensionValidator,
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
)
from django.db import models
from django.utils import timezone

from apps.core.fields import EncryptedField
from apps.core.ids import uuid7


def validate_time_zone(value: str) -> None:
    """Accept only names of the IANA time zone database, such as Europe/Lisbon."""
    if value not in available_timezones():
        raise ValidationError("%(value)s is not an IANA time zone.", params={"value": value})


class PersonaQuerySet(models.QuerySet["Persona"]):
    def active(self) -> Self:
        return self.filter(is_active=True)


class Persona(models.Model):
    """One who speaks in public: a name, a voice, and what it knows."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80)
    handle = models.CharField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9_]{1,40}\Z", "Use a-z, 0-9 and _ only.")],
        help_text="In addresses and mentions: small letters, digits and _.",
    )
    bio = models.TextField(max_length=2_000, blank=True, help_text="Who this is, in its own words.")
    voice = models.TextField(
        max_length=4_000, blank=True, help_text="How it speaks: tone, habits, what it never says."
    )
    language = models.CharField(max_length=12, default="en", help_text="As in en or pt-BR.")
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    avatar = models.ImageField(
        upload_to="avatars/",
        blank=True,
        validators=[FileExtensionValidator(["jpg", "jpeg", "png", "webp"])],
    )
    call_human_below = models.FloatField(
        null=True,
        blank=True,
        default=-0.5,
        validators=[MinValueValidator(-1.0), MaxValueValidator(0.0)],
        help_text="From -1 to 0: when the mood of a conversation falls below this, the persona "
        "stops there and a person is called. Empty: never.",
    )
    is_active = models.BooleanField(default=True, help_text="Inactive personas publish nothing.")
    made_with_ai = models.BooleanField(
        "made with AI",
        default=True,
        help_text="What its posts say of their text and pictures unless the post says otherwise.",
    )
    needs_approval = models.BooleanField(
        default=False, help_text="Its posts go out only once somebody who may has approved them."
    )
    schedules_own_drafts = models.BooleanField(
        default=False,
        help_text="A series of drafts that it writes is scheduled like any post of its (handed in, "
        "where its posts need approval). Off: what it writes stays a draft until somebody hands "
        "it in.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PersonaQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Fact(models.Model):
    """Something a persona knows: a plain fact, or the answer to a question people ask."""

    class Kind(models.TextChoices):
        FACT = "fact", "Fact"
        FAQ = "faq", "Question and answer"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="facts")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.FACT)
    question = models.CharField(max_length=300, blank=True)
    text = models.TextField(max_length=4_000)

    class Meta:
        ordering = ("persona", "kind", "id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                name="a_faq_has_a_question",
                condition=~models.Q(kind="faq", question=""),
                violation_error_message="A question and answer needs its question.",
            )
        ]

    def __str__(self) -> str:
        return self.question or self.text[:80]


class Publication(models.Model):
    """Something a persona published, kept as part of what it knows."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="publications")
    # The delivery's id: telling the same one twice changes nothing.
    source_id = models.UUIDField(unique=True)
    network = models.CharField(max_length=30)
    text = models.TextField(blank=True)
    url = models.URLField(max_length=500, blank=True)
    published_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-published_at",)

    def __str__(self) -> str:
        return f"{self.network}: {self.text[:60]}"


class HoldQuerySet(models.QuerySet["Hold"]):
    def everything(self) -> Self:
        """The global stop."""
        return self.filter(persona=None)

    def on(self, persona: Persona) -> Self:
        """What keeps this persona silent: its own hold, the global stop, or both."""
        return self.filter(models.Q(persona=persona) | models.Q(persona=None))


class Hold(models.Model):
    """While this row exists its persona neither publishes nor replies; without one, nobody does."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.OneToOneField(
        Persona,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="hold",
        help_text="Empty stops the whole studio.",
    )
    reason = models.CharField(max_length=300)
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    placed_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ("-placed_at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # Unique over NULL too: there is one global stop or none.
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(persona=None), name="one_global_stop"
            )
        ]

    def __str__(self) -> str:
        return f"{self.persona or 'Everything'} held: {self.reason}"

    def clean(self) -> None:
        super().clean()
        if self.persona is None and Hold.objects.everything().exclude(pk=self.pk).exists():
            raise ValidationError("Everything is stopped already.")


class VoiceSettings(models.Model):
    """How a persona's answers are written; without a row, by the offline voice."""

    persona = models.OneToOneField(
        Persona, models.CASCADE, primary_key=True, related_name="voice_settings"
    )
    voice = models.CharField(max_length=40, default="offline", help_text="One of the VOICES.")
    base_url = models.URLField(
        max_length=300,
        blank=True,
        help_text="Of an OpenAI-compatible service, as in http://localhost:11434/v1.",
    )
    model = models.CharField(max_length=120, blank=True)
    # {"key": ...}; written only, never shown again.
    key = EncryptedField()
    timeout_seconds = models.PositiveSmallIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(600)]
    )
    most_tokens = models.PositiveIntegerField(
        default=600, validators=[MinValueValidator(1), MaxValueValidator(8_000)]
    )
    temperature = models.FloatField(
        default=0.7, validators=[MinValueValidator(0.0), MaxValueValidator(2.0)]
    )
    daily_budget = models.PositiveIntegerField(
        null=True, blank=True, help_text="Tokens a day (UTC), about; empty is without limit."
    )
    moderate = models.BooleanField(
        default=False, help_text="Ask the service's /moderations about each message first."
    )
    spent_on = models.DateField(null=True, blank=True, editable=False)
    spent = models.PositiveBigIntegerField(default=0, editable=False)
    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    test_result = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        verbose_name = "voice"
        verbose_name_plural = "voices"

    def __str__(self) -> str:
        return f"{self.persona}: {self.voice}"
