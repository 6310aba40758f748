"""What may be asked of chat, by the socket, the API, the admin and pages alike.

Every verb checks who asks, in the row, in one transaction; others hear of it after the commit.
"""

from apps.chat.services.answers import correct_memory, hand_back, regenerate, stop_reply, take_over
from apps.chat.services.asking import LEAD_ALL, Refused, may_lead_all
from apps.chat.services.conversations import (
    DISCLOSURE,
    add_member,
    open_conversation,
    open_direct,
    open_group,
    remove_member,
    set_role,
    unread_of,
)
from apps.chat.services.messages import (
    attach,
    delete_message,
    edit_message,
    mark_read,
    react,
    search,
    send_message,
)
from apps.chat.services.people import ban, erase_user, export_user, hide_message, lift_ban, sign_up

__all__ = [
    "LEAD_ALL",
    "Refused",
    "may_lead_all",
    "DISCLOSURE",
    "add_member",
    "open_conversation",
    "open_direct",
    "open_group",
    "remove_member",
    "set_role",
    "unread_of",
    "attach",
    "delete_message",
    "edit_message",
    "mark_read",
    "react",
    "search",
    "send_message",
    "correct_memory",
    "hand_back",
    "regenerate",
    "stop_reply",
    "take_over",
    "ban",
    "erase_user",
    "export_user",
    "hide_message",
    "lift_ban",
    "sign_up",
]
