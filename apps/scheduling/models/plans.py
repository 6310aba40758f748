"""What posts are made from: series with their occurrences, slots of queues, evergreens."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7
from apps.personas.models import Persona, validate_time_zone


class Series(models.Model):
    """A post that repeats by wall clock in a zone; its coming posts are prepared ahead."""

    class Kind(models.TextChoices):
        DAILY = "daily", "Every day, or every few days"
        WEEKDAYS = "weekdays", "Monday to Friday"
        WEEKLY = "weekly", "On days of the week"
        MONTHLY_DAY = "monthly_day", "On a day of the month"
        MONTHLY_WEEKDAY = "monthly_weekday", "On a weekday of the month"
        CRONTAB = "crontab", "By a crontab"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120, help_text="For the studio; nobody outside sees it.")
    persona = models.ForeignKey(Persona, models.PROTECT, related_name="series")

    text = models.TextField(blank=True)
    link = models.URLField(max_length=1_000, blank=True)
    hashtags = models.JSONField(default=list, blank=True)
    media = models.ManyToManyField(
        "scheduling.Media", through="SeriesMedia", related_name="series", blank=True
    )
    parts = models.JSONField(default=list, blank=True)
    accounts = models.ManyToManyField("scheduling.SocialAccount", related_name="series")
    # Per account id: its own text, link or hashtags.
    overrides = models.JSONField(default=dict, blank=True)
    too_late_after = models.DurationField(null=True, blank=True)

    kind = models.CharField(max_length=20, choices=Kind)
    zone = models.CharField(max_length=64, validators=[validate_time_zone])
    starts_on = models.DateField()
    at = models.TimeField(null=True, blank=True)
    every = models.PositiveSmallIntegerField(default=1)
    weekdays = models.JSONField(default=list, blank=True)
    month_day = models.PositiveSmallIntegerField(null=True, blank=True)
    nth = models.SmallIntegerField(null=True, blank=True)
    crontab = models.ForeignKey(
        "django_celery_beat.CrontabSchedule", models.PROTECT, null=True, blank=True
    )
    ends_on = models.DateField(null=True, blank=True)
    count = models.PositiveIntegerField(null=True, blank=True)

    is_paused = models.BooleanField(default=False)
    # Everything before this has its occurrence; the next run goes on from here.
    prepared_until = models.DateTimeField(default=timezone.now, editable=False)
    problem = models.TextField(blank=True, editable=False, help_text="Why nothing is prepared.")
    # The series whose following occurrences this one took over.
    follows = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="followed_by"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "series"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                name="a_series_has_a_time_or_a_crontab",
                condition=models.Q(kind="crontab", crontab__isnull=False)
                | (~models.Q(kind="crontab") & models.Q(at__isnull=False)),
            )
        ]

    def __str__(self) -> str:
        return self.name


class SeriesMedia(models.Model):
    """A media file's place in the posts of a series."""

    series = models.ForeignKey(Series, models.CASCADE)
    media = models.ForeignKey("scheduling.Media", models.PROTECT)
    position = models.PositiveSmallIntegerField()
    part = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("position",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["series", "position"], name="one_media_per_position_of_a_series"
            )
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.media}"


class Occurrence(models.Model):
    """One time of a series: prepared as a post, skipped by a person, or missed."""

    class State(models.TextChoices):
        PREPARED = "prepared", "Prepared"
        SKIPPED = "skipped", "Skipped"
        MISSED = "missed", "Missed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    series = models.ForeignKey(Series, models.CASCADE, related_name="occurrences")
    # What the clock on the wall was to show. With the series it is the key: whoever prepares the
    # same time a second time fails here.
    local_date = models.DateField()
    local_time = models.TimeField()
    at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.PREPARED)
    post = models.OneToOneField(
        "scheduling.Post", models.SET_NULL, null=True, blank=True, related_name="occurrence"
    )
    # Somebody changed this one by hand: changes of the series leave it alone.
    is_edited = models.BooleanField(default=False)
    # The clocks skip this wall time, and `at` is later by as much.
    is_moved = models.BooleanField(default=False)

    class Meta:
        ordering = ("at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["series", "local_date", "local_time"], name="an_occurrence_comes_once"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["series", "at"], name="occurrences_in_order")
        ]

    def __str__(self) -> str:
        return f"{self.series}: {self.local_date} {self.local_time:%H:%M}"


class QueueSlot(models.Model):
    """A weekly time of an account, by the clock of its persona, that queued posts fill."""

    class Weekday(models.TextChoices):
        MON = "mon", "Monday"
        TUE = "tue", "Tuesday"
        WED = "wed", "Wednesday"
        THU = "thu", "Thursday"
        FRI = "fri", "Friday"
        SAT = "sat", "Saturday"
        SUN = "sun", "Sunday"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey("scheduling.SocialAccount", models.CASCADE, related_name="slots")
    weekday = models.CharField(max_length=3, choices=Weekday)
    at = models.TimeField(help_text="On the clock of the persona.")

    class Meta:
        ordering = ("account", "weekday", "at")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["account", "weekday", "at"],
                name="a_slot_is_there_once",
                violation_error_message="This account has this slot already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.at:%H:%M}"


class Evergreen(models.Model):
    """A post that goes back into an account's queue, at least so long after its last time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    post = models.ForeignKey("scheduling.Post", models.CASCADE, related_name="evergreens")
    account = models.ForeignKey(
        "scheduling.SocialAccount", models.CASCADE, related_name="evergreens"
    )
    distance = models.DurationField(help_text="From one time to the next, at least.")
    is_active = models.BooleanField(default=True)
    # The copy made last; while it is under way there is no other.
    latest = models.ForeignKey(
        "scheduling.Post", models.SET_NULL, null=True, editable=False, related_name="+"
    )
    problem = models.TextField(blank=True, editable=False, help_text="Why it is not queued.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-created_at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["post", "account"],
                name="an_evergreen_is_there_once",
                violation_error_message="This post comes back on this account already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.post} on {self.account}"
