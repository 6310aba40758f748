"""What personas were asked to write: the request, its progress, each text."""

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7
from apps.personas.models import Persona

LONGEST_BRIEF = 2_000


class DraftRunQuerySet(models.QuerySet["DraftRun"]):
    def unfinished(self) -> Self:
        return self.filter(finished_at=None)


class DraftRun(models.Model):
    """A request to a persona to write; how many of its candidates are settled is its progress."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="draft_runs")
    brief = models.TextField(max_length=LONGEST_BRIEF, blank=True)
    accounts = models.ManyToManyField("scheduling.SocialAccount", related_name="+")
    # True: several for one moment, of which a person takes what is good. False: one for each
    # moment, each a draft at once.
    is_choice = models.BooleanField(default=True)
    # The moments are slots of the account's queue.
    in_slots = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Who writes now: a new random claim each time, so that a late worker's writes miss.
    claim = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    error_code = models.CharField(max_length=60, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = DraftRunQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "request for drafts"
        verbose_name_plural = "written drafts"
        indexes: ClassVar[list[models.Index]] = [
            # Partial: finding what waits costs nothing once all is written.
            models.Index(
                fields=["created_at"],
                name="draft_runs_unfinished",
                condition=models.Q(finished_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.persona}: {self.brief[:60] or 'whatever fits'}"


class Candidate(models.Model):
    """One text for one moment: waits, was written, became a post, or could not."""

    class State(models.TextChoices):
        WAITING = "waiting", "To be written"
        WRITTEN = "written", "Written"
        TAKEN = "taken", "Made a post"
        REFUSED = "refused", "Needs a person"
        FAILED = "failed", "Not written"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(DraftRun, models.CASCADE, related_name="candidates")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    text = models.TextField(blank=True)
    # Why no post was made of it, in words for people.
    problem = models.TextField(blank=True)
    post = models.ForeignKey(
        "scheduling.Post", models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ("run", "number")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["run", "number"], name="a_candidate_has_its_own_number")
        ]

    def __str__(self) -> str:
        return self.text[:60] or self.get_state_display()
