"""Accounts on networks, and the sign-ins under way that connect them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.fields import EncryptedField
from apps.core.ids import uuid7
from apps.personas.models import Persona


class SocialAccount(models.Model):
    """A persona's account on one network, with its credentials encrypted at rest."""

    class Status(models.TextChoices):
        UNTESTED = "untested", "Not tested yet"
        WORKING = "working", "Working"
        RECONNECT = "reconnect", "Reconnect"
        PAUSED = "paused", "Paused"

    class Disclosure(models.TextChoices):
        PROFILE = "profile", "A line in the profile"
        LABEL = "label", "A label under the text"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.PROTECT, related_name="accounts")
    network = models.CharField(max_length=30)
    handle = models.CharField(max_length=200, help_text="As the network writes it.")
    server = models.URLField(
        max_length=300, blank=True, help_text="Where the network has many servers: its address."
    )
    credentials = EncryptedField()
    status = models.CharField(max_length=10, choices=Status, default=Status.UNTESTED)
    status_detail = models.CharField(max_length=500, blank=True, editable=False)
    # The right it lacks to ask how its posts did; it publishes all the same.
    follow_up_detail = models.CharField(max_length=500, blank=True, editable=False)
    # What the server said of itself at the last test: its limits, our id there.
    facts = models.JSONField(default=dict, blank=True, editable=False)
    # A rate limit concerns the whole account: none of its posts goes out before this.
    wait_until = models.DateTimeField(null=True, blank=True, editable=False)
    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When its access ends for good unless somebody connects it again; empty: no end is known.
    access_ends_at = models.DateTimeField(null=True, blank=True, editable=False)
    disclosure = models.CharField(
        max_length=10,
        choices=Disclosure,
        default=Disclosure.PROFILE,
        help_text="How readers learn that a post was made with AI where the network has no mark of "
        "its own. A line in the profile is yours to write there.",
    )
    ai_label = models.CharField(
        "label", max_length=80, default="Made with AI", help_text="As in: Made with AI"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("persona", "network", "handle")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["network", "server", "handle"],
                name="an_account_belongs_to_one_persona",
                violation_error_message="This account is connected already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.handle} on {self.network}"


class SignIn(models.Model):
    """One way out to a network and back: a row, so that it is used once, by whom it was begun.

    What it needs in between is sealed, then erased.
    """

    class Stage(models.TextChoices):
        OUT = "out", "At the network"
        CHOOSING = "choosing", "Choosing"
        DONE = "done", "Done"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.OUT)
    network = models.CharField(max_length=30)
    server = models.URLField(max_length=300, blank=True)
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="+")
    # The account to connect again; empty: a new one.
    account = models.ForeignKey(
        "scheduling.SocialAccount", models.CASCADE, null=True, blank=True, related_name="+"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    # SHA-256 of what only the browser holds: who reads these rows can finish nobody's sign-in.
    state_hash = models.CharField(max_length=64, unique=True)
    session_hash = models.CharField(max_length=64)
    # The PKCE verifier and a client registered for this one; then the accounts to choose from.
    held = EncryptedField()
    expires_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"Sign-in at {self.network}"
