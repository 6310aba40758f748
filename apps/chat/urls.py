"""The addresses of chat: its API, its pages, the door, and each persona's public page."""

from django.urls import include, path, re_path

from apps.chat import entrance, pages
from apps.chat.api.conversations import ConversationViewSet, MembersView, MemberView
from apps.chat.api.messages import (
    AttachmentContentView,
    AttachmentsView,
    HideView,
    MessagesView,
    MessageView,
    SearchView,
)
from apps.chat.api.replies import MemoryViewSet, MyDataView, ReplyViewSet
from apps.core.rest.resources import UUID_PATTERN, Router

router = Router()
router.register("conversations", ConversationViewSet, "conversation")
router.register("replies", ReplyViewSet, "reply")
router.register("memories", MemoryViewSet, "memory")

_conversation = f"^conversations/(?P<conversation_id>{UUID_PATTERN})"
_message = f"^messages/(?P<message_id>{UUID_PATTERN})"

api = [
    re_path(f"{_conversation}/messages/?$", MessagesView.as_view(), name="chat-messages"),
    re_path(f"{_conversation}/members/?$", MembersView.as_view(), name="chat-members"),
    re_path(
        f"{_conversation}/members/(?P<member_id>{UUID_PATTERN})/?$",
        MemberView.as_view(),
        name="chat-member",
    ),
    re_path(f"{_conversation}/attachments/?$", AttachmentsView.as_view(), name="chat-attachments"),
    re_path(f"{_message}/?$", MessageView.as_view(), name="chat-message"),
    re_path(f"{_message}/hide/?$", HideView.as_view(), name="chat-hide"),
    re_path(
        f"^attachments/(?P<attachment_id>{UUID_PATTERN})/content/?$",
        AttachmentContentView.as_view(),
        name="chat-attachment",
    ),
    re_path("^search/?$", SearchView.as_view(), name="chat-search"),
    re_path("^my-data/?$", MyDataView.as_view(), name="chat-my-data"),
    *router.urls,
]

urlpatterns = [
    path("api/v1/chat/", include(api)),
    re_path("^sign-in/?$", entrance.SignIn.as_view(), name="sign-in"),
    re_path("^sign-up/?$", entrance.sign_up, name="sign-up"),
    re_path("^sign-out/?$", entrance.SignOut.as_view(), name="sign-out"),
    re_path("^@(?P<handle>[a-z0-9_]{1,40})/?$", entrance.persona_page, name="persona"),
    re_path("^@(?P<handle>[a-z0-9_]{1,40})/talk/?$", entrance.talk, name="talk"),
    re_path("^chat/?$", pages.chat, name="chat"),
    re_path(f"^chat/(?P<conversation_id>{UUID_PATTERN})/?$", pages.chat, name="conversation"),
    path("chat/data/conversations/", pages.conversations),
    path("chat/data/<uuid:conversation_id>/log/", pages.log),
    path("chat/data/<uuid:conversation_id>/human/", pages.ask_for_a_human),
]
