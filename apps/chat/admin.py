"""Chat in the admin: read, take over, hide, ban; take away or erase what one user said."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST
from unfold.decorators import display

from apps.chat import mood, services
from apps.chat.models import Ban, Conversation, FanMemory, Membership, Message, Reply, Talker
from apps.core.admin.base import ReadOnlyAdmin, ReadOnlyInline, StudioAdmin, acting
from apps.core.models import User
from apps.core.shown import badge, when

LEAD = "chat.change_conversation"
BAN = "chat.add_ban"
ERASE = "chat.delete_message"


class MemberInline(ReadOnlyInline):
    """Who is in it."""

    model = Membership
    tab = True
    fields = ("user", "persona", "role", "joined_at", "read_seq")
    readonly_fields = fields


class MessageInline(ReadOnlyInline):
    """What was said, the newest first."""

    model = Message
    tab = True
    per_page = 50
    ordering = ("-seq",)
    fields = ("seq", "sender", "said", "at", "state")
    readonly_fields = fields
    show_change_link = True

    @display(description="From")
    def sender(self, row: Message) -> str:
        return str(row.persona or row.user or "–")

    @display(description="Message")
    def said(self, row: Message) -> str:
        # Plain text: the template escapes it, whatever somebody wrote.
        return row.content or "(deleted)"

    @display(description="When")
    def at(self, row: Message) -> Any:
        return when(row.created_at)

    @display(description="State")
    def state(self, row: Message) -> Any:
        return _state(row)


def _state(row: Message) -> Any:
    if row.hidden_at:
        return badge("warn", "Hidden")
    if row.deleted_at:
        return badge("quiet", "Deleted")
    return badge("info", "AI") if row.is_ai else ""


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """Conversations: who talks, who answers, and the buttons to take over and hand back."""

    list_display = ("name", "begun_by", "kind", "answers", "feels", "last_seq", "latest")
    list_select_related = ("created_by", "held_by")
    list_filter = ("kind", "holder", "stopped_for", "persona")
    search_fields = ("title", "memberships__user__username", "persona__name", "messages__content")
    inlines = (MessageInline, MemberInline)
    fields = (
        *("kind", "title", "persona", "begun_by", "holder", "held_by", "stopped_for"),
        *("human_asked_at", "feels", "created_at"),
    )
    readonly_fields = ("begun_by", "feels")
    change_form_outer_before_template = "admin/chat/holder.html"

    @display(description="Conversation")
    def name(self, row: Conversation) -> str:
        return str(row)

    @display(description="Begun by", ordering="created_by__username")
    def begun_by(self, row: Conversation) -> str:
        return row.created_by.shown_name if row.created_by else "–"

    @display(description="Answers", ordering="holder")
    def answers(self, row: Conversation) -> Any:
        if row.stopped_for:
            return badge("bad", "Needs a person", row.stopped_for)
        if row.human_asked_at:
            return badge("bad", "Needs a person", "asked for one")
        if row.holder == Conversation.Holder.HUMAN:
            return badge("info", f"{row.held_by or 'A person'}")
        return badge("good", "Persona") if row.kind == Conversation.Kind.PERSONA else "–"

    @display(description="Mood", ordering="mood")
    def feels(self, row: Conversation) -> Any:
        if row.mood is None:
            return "–"
        word = mood.word_of(row.mood)
        kind = "bad" if row.mood <= mood.UNHAPPY else "good" if word == "happy" else "quiet"
        return badge(kind, word.capitalize(), f"{row.mood:+.2f} on a scale from -1 to 1")

    @display(description="Last message", ordering="last_message_at")
    def latest(self, row: Conversation) -> Any:
        return when(row.last_message_at)

    def get_urls(self) -> list[Any]:
        def button(view: Any, name: str) -> Any:
            return path(
                f"<uuid:pk>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"chat_conversation_{name}",
            )

        own = [button(self.take_over, "take-over"), button(self.hand_back, "hand-back")]
        return own + list(super().get_urls())

    def take_over(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Answer oneself."""
        return self._lead(request, pk, services.take_over, "You answer here now, by your name.")

    def hand_back(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Let the persona answer again."""
        return self._lead(request, pk, services.hand_back, "The persona answers here again.")

    def _lead(
        self, request: HttpRequest, pk: UUID, verb: Callable[..., Any], done: str
    ) -> HttpResponse:
        if not request.user.has_perm(LEAD):
            raise PermissionDenied
        verb(conversation=get_object_or_404(Conversation, pk=pk), by=acting(request))
        messages.success(request, done)
        return HttpResponseRedirect(reverse("admin:chat_conversation_change", args=[pk]))


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Every message, to search and to moderate."""

    list_display = ("said", "sender", "conversation", "at", "state")
    list_filter = ("is_ai", "kind", "created_at")
    search_fields = ("content", "user__username", "persona__name")
    list_select_related = ("user", "persona", "conversation")
    actions = ("hide", "show", "ban_senders")

    @display(description="Message")
    def said(self, row: Message) -> str:
        return row.content[:120] or "(deleted)"

    @display(description="From")
    def sender(self, row: Message) -> str:
        return str(row.persona or row.user or "–")

    @display(description="When", ordering="created_at")
    def at(self, row: Message) -> Any:
        return when(row.created_at)

    @display(description="State")
    def state(self, row: Message) -> Any:
        return _state(row)

    def has_lead_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(LEAD))

    def has_ban_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(BAN))

    @admin.action(description="Hide from everybody", permissions=["lead"])
    def hide(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        for row in queryset:
            services.hide_message(message=row, by=acting(request))
        self.message_user(request, f"Hidden: {queryset.count()}.")

    @admin.action(description="Show again", permissions=["lead"])
    def show(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        for row in queryset:
            services.hide_message(message=row, by=acting(request), hidden=False)
        self.message_user(request, f"Shown: {queryset.count()}.")

    @admin.action(description="Ban the senders", permissions=["ban"])
    def ban_senders(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        skipped = []
        done = 0
        for user in User.objects.filter(messages__in=queryset).distinct():
            try:
                services.ban(user=user, by=acting(request), reason="By a moderator")
                done += 1
            except services.Refused as refused:
                skipped.append(f"{user}: {refused}")
        self.say_skipped(request, f"Banned: {done}." if done else "", skipped)


@admin.register(Ban)
class BanAdmin(StudioAdmin):
    """Who may read only."""

    list_display = ("user", "reason", "placed_by", "placed_at")
    search_fields = ("user__username", "reason")
    autocomplete_fields = ("user",)
    fields = ("user", "reason")

    def save_model(self, request: HttpRequest, obj: Ban, form: Any, change: bool) -> None:
        if not change:
            obj.placed_by = acting(request)
        super().save_model(request, obj, form, change)


@admin.register(Reply)
class ReplyAdmin(ReadOnlyAdmin):
    """Answers as jobs: which failed, and why."""

    list_display = ("persona", "state", "error", "voice_text", "created_at")
    list_filter = ("state", "persona", "is_suggestion")
    list_select_related = ("persona",)

    @display(description="Text")
    def voice_text(self, row: Reply) -> str:
        return row.text[:120]


@admin.register(Talker)
class TalkerAdmin(ReadOnlyAdmin):
    """People who talk here: take away or erase what is kept of one of them."""

    list_display = ("username", "email", "is_staff", "date_joined")
    search_fields = ("username", "email")
    fields = ("username", "email", "date_joined")
    actions = ("export", "erase")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("chat.view_message"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(ERASE))

    @admin.action(description="Take away the data of one person", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        user = queryset.first()
        if user is None or queryset.count() != 1:
            self.message_user(request, "Choose one person.", messages.WARNING)
            return None
        data = services.export_user(user=user, by=acting(request))
        return HttpResponse(
            json.dumps(data, indent=2, ensure_ascii=False),
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="chat-{user.pk}.json"'},
        )

    @admin.action(description="Erase the chat of one person…", permissions=["erase"])
    def erase(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        user = queryset.first()
        if user is None or queryset.count() != 1:
            self.message_user(request, "Choose one person.", messages.WARNING)
            return None
        if request.POST.get("confirmed") != user.username:
            context = {
                **self.admin_site.each_context(request),
                "title": f"Erase everything that {user.username} said?",
                "person": user,
                "opts": self.model._meta,
            }
            return TemplateResponse(request, "admin/chat/erase.html", context)
        counts = services.erase_user(user=user, by=acting(request))
        self.message_user(
            request,
            f"Erased: {counts['messages']} messages, {counts['conversations']} conversations.",
        )
        return None


@admin.register(FanMemory)
class FanMemoryAdmin(ReadOnlyAdmin):
    """What personas remember of people; the people themselves correct and erase it."""

    list_display = ("user", "persona", "about", "text", "corrected_at")
    list_filter = ("persona", "about")
    search_fields = ("user__username", "text")
    list_select_related = ("user", "persona")
