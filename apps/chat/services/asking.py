"""What all verbs share: how they refuse, and what somebody is in a conversation."""

from uuid import UUID

from apps.chat import protocol
from apps.chat.models import Conversation, Membership
from apps.core import errors
from apps.core.models import User


class Refused(errors.Refused):
    """The request cannot be done as asked; `code` is one of protocol.ERROR_CODES."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(("detail", code, message or protocol.ERROR_CODES[code]))
        self.code = code


def role_of(conversation_id: UUID, user_id: UUID) -> str | None:
    rows = Membership.objects.filter(conversation=conversation_id, user=user_id)
    return rows.values_list("role", flat=True).first()


def check_may_lead(conversation: Conversation, by: User) -> None:
    role = role_of(conversation.pk, by.pk)
    if not by.is_staff and role not in (Membership.Role.OWNER, Membership.Role.MODERATOR):
        raise Refused("not_allowed")
