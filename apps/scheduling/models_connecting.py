"""Sign-ins under way at a network: rows, so that each is used once, by whom it was begun."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.fields import EncryptedField
from apps.core.ids import uuid7
from apps.personas.models import Persona


class SignIn(models.Model):
    """One way out to a network and back; what it needs in between is sealed, then erased."""

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
