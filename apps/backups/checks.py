"""System checks: what would fail at 2:30 at night is said at the start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from apps.backups import journal, pitr
from apps.backups.errors import BackupError
from apps.backups.streams import recipient_of


@register()
def recipients_are_keys(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """BACKUP_AGE_RECIPIENTS holds public keys, and never a secret one."""
    problems: list[CheckMessage] = []
    for recipient in settings.BACKUP_AGE_RECIPIENTS:
        if recipient.upper().startswith("AGE-SECRET-KEY"):
            problems.append(
                Error(
                    "BACKUP_AGE_RECIPIENTS holds a secret key.",
                    hint="Give the public one (age1...), and keep the secret one elsewhere.",
                    id="backups.E001",
                )
            )
            continue
        try:
            recipient_of(recipient)
        except BackupError as error:
            problems.append(Error(str(error), id="backups.E002"))
    return problems


@register()
def no_restore_was_cut_short(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """A restore that was killed while it switched is finished or undone before anything starts."""
    open_one = journal.unfinished()
    if open_one is None:
        return []
    message = f"The restore of {open_one.backup} was cut short ({open_one.step})."
    hint = "Run `manage.py restore --resume` or `manage.py restore --rollback`."
    if open_one.step in (journal.Step.SWITCHING, journal.Step.SWITCHED):
        return [Error(message, hint=hint, id="backups.E003")]
    return [Warning(message, hint=hint, id="backups.W003")]


@register()
def pitr_is_known(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """BACKUP_PITR names a tool that can be asked."""
    if not settings.BACKUP_PITR or pitr.is_valid(settings.BACKUP_PITR):
        return []
    return [
        Error(
            f"BACKUP_PITR={settings.BACKUP_PITR!r} is neither pgbackrest:STANZA nor barman:SERVER.",
            id="backups.E004",
        )
    ]
