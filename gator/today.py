"""The studio's first page: every app's part of it, each only for those who may see its rows."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps.backups.models import BackupRun
from apps.chat.models import Conversation
from apps.core.shown import when
from apps.scheduling.admin.dashboard import dashboard
from apps.sentiment import days
from apps.sentiment.admin.shown import mood
from apps.sentiment.engines.base import label_for

# As many as fit beside the posts; each list's own page has them all.
MOST = 5


def today(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What templates/admin/index.html shows."""
    may = request.user.has_perm
    context = dashboard(request, context)
    if may("chat.view_conversation"):
        context["conversations"] = _conversations()
    if may("sentiment.view_reading"):
        context["moods"] = _moods()
    if may("backups.view_backuprun"):
        context["backup"] = _backup()
    return context


def _conversations() -> list[dict[str, Any]]:
    rows = Conversation.objects.needing_a_person().select_related("persona", "created_by")
    return [
        {
            "conversation": row.created_by.shown_name if row.created_by else row,
            "persona": row.persona.name if row.persona else row.get_kind_display(),
            "why": row.stopped_for or "asks for a person",
            "when": when(row.last_message_at),
            "url": reverse("admin:chat_conversation_change", args=[row.pk]),
        }
        for row in rows[:MOST]
    ]


def _moods() -> list[dict[str, Any]]:
    week = timezone.now().date() - timedelta(days=6)
    return [
        {
            "name": row["name"],
            "comments": row["comments"],
            "mood": mood(label_for(row["score"]), row["score"]),
            "url": reverse("admin:sentiment_reading_mood_of", args=[row["persona"]]),
        }
        for row in days.moods_since(week, MOST)
    ]


def _backup() -> dict[str, Any]:
    run = BackupRun.objects.proven().first()
    if run is None:
        return {"run": None, "url": reverse("admin:backups_backuprun_changelist")}
    url = reverse("admin:backups_backuprun_change", args=[run.pk])
    return {"run": run, "when": when(run.proven_at), "url": url}
