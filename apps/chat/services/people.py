"""People: signing up, moderation, and what chat holds about one of them."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.chat import changes, personal
from apps.chat.changes import locked
from apps.chat.models import Ban, Message
from apps.chat.services.asking import Refused
from apps.core import audit
from apps.core.models import User


@transaction.atomic
def hide_message(*, message: Message, by: User, hidden: bool = True) -> None:
    """Take a message out of everybody's sight, or show it again."""
    row = locked(message.pk)
    if row is not None and (row.hidden_at is not None) != hidden:
        changes.set_hidden(row, hidden)
        audit.record(actor=by, action="hide message" if hidden else "show message", about=row)


def ban(*, user: User, by: User, reason: str) -> None:
    """Let this user read only, until the ban is lifted."""
    if user.is_staff:
        raise Refused("not_allowed", "Staff cannot be banned from chat.")
    Ban.objects.get_or_create(user=user, defaults={"reason": reason[:300], "placed_by": by})
    audit.record(actor=by, action="ban from chat", about=user, reason=reason)


def lift_ban(*, user: User, by: User) -> None:
    """Let this user send again."""
    if Ban.objects.filter(user=user).delete()[0]:
        audit.record(actor=by, action="lift chat ban", about=user)


def export_user(*, user: User, by: User) -> dict[str, Any]:
    """Everything that chat holds about this user."""
    audit.record(actor=by, action="export chat data", about=user)
    return personal.export(user.pk)


def erase_user(*, user: User, by: User) -> dict[str, int]:
    """Erase what this user said and what is remembered of them; it cannot be undone."""
    counts = personal.erase(user.pk)
    audit.record(actor=by, action="erase chat data", about=user, **counts)
    return counts


def sign_up(*, username: str, password: str, email: str = "") -> User:
    """A new fan; Refused with what is wrong about the name or the password."""
    user = User(username=username, email=email)
    try:
        user.full_clean(exclude=["password"])
        validate_password(password, user)
        user.set_password(password)
        with transaction.atomic():
            user.save()
    except ValidationError as error:
        raise Refused("bad_field", " ".join(error.messages)) from error
    except IntegrityError as error:
        raise Refused("bad_field", "This name is taken.") from error
    return user
