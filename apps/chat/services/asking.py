"""What all verbs share: how they refuse, and what somebody is in a conversation."""

from uuid import UUID

from apps.chat import protocol
from apps.chat.models import Ban, Conversation, Membership
from apps.core import errors
from apps.core.models import User

LEAD_ALL = "chat.change_conversation"


class Refused(errors.Refused):
    """The request cannot be done as asked; `code` is one of protocol.ERROR_CODES."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(("detail", code, message or protocol.ERROR_CODES[code]))
        self.code = code


def role_of(conversation_id: UUID, user_id: UUID) -> str | None:
    rows = Membership.objects.filter(conversation=conversation_id, user=user_id)
    return rows.values_list("role", flat=True).first()


def may_lead_all(user: User) -> bool:
    """Staff who may take over and moderate, wherever it is."""
    return bool(user.is_active and user.is_staff and user.has_perm(LEAD_ALL))


def check_may_lead(conversation: Conversation, by: User, *roles: str) -> None:
    """Refuse whoever has none of these roles here (owner or moderator unless told)."""
    allowed = roles or (Membership.Role.OWNER, Membership.Role.MODERATOR)
    if role_of(conversation.pk, by.pk) not in allowed and not may_lead_all(by):
        raise Refused("not_allowed")


def check_not_banned(user_id: UUID) -> None:
    """Refuse whoever may read only."""
    if Ban.objects.filter(user=user_id).exists():
        raise Refused("banned")
