"""The audit trail: who published, approved, took over, changed a credential, restored."""

from typing import Any

from django.db import models

from apps.core.models import AuditEntry, User


def record(
    *, actor: User | None, action: str, about: models.Model | None = None, **details: Any
) -> AuditEntry:
    """Write one line; `actor` None is Gator itself, `about` None is the whole studio."""
    return AuditEntry.objects.create(
        actor=actor,
        actor_name=actor.username if actor else "gator",
        action=action,
        object_type=about._meta.label_lower if about is not None else "studio",
        object_id=str(about.pk) if about is not None else "",
        object_label=str(about)[:200] if about is not None else "the studio",
        details=details,
    )
