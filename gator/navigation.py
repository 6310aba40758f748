"""The studio's sidebar: where everything is, in the words of the domain."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from apps.scheduling.admin.dashboard import undecided_badge

# Group: (title, icon, app_model, or app_model and a page of it). Who may not view a model does not
# see its line.
GROUPS: dict[str, list[tuple[str, str, str]]] = {
    "Publishing": [
        ("Calendar", "calendar_month", "scheduling_post calendar"),
        ("Posts", "edit_calendar", "scheduling_post"),
        ("Series", "event_repeat", "scheduling_series"),
        ("Queue slots", "low_priority", "scheduling_queueslot"),
        ("Evergreens", "forest", "scheduling_evergreen"),
        ("Deliveries", "send", "scheduling_delivery"),
        ("Accounts", "hub", "scheduling_socialaccount"),
        ("Media", "image", "scheduling_media"),
        ("Webhooks", "webhook", "scheduling_webhookendpoint"),
        ("Webhook log", "receipt_long", "scheduling_webhookmessage"),
        ("Written drafts", "edit_note", "scheduling_draftrun"),
        ("Templates", "draft", "scheduling_template"),
        ("Hashtag sets", "tag", "scheduling_hashtagset"),
    ],
    "Personas": [
        ("Personas", "face", "personas_persona"),
        ("Voices", "record_voice_over", "personas_voicesettings"),
    ],
    "Chat": [
        ("Conversations", "chat", "chat_conversation"),
        ("Messages", "chat_bubble", "chat_message"),
        ("Answers", "smart_toy", "chat_reply"),
        ("People", "person_search", "chat_talker"),
        ("Bans", "block", "chat_ban"),
    ],
    "Audience": [
        ("Moods", "mood", "sentiment_reading mood"),
        ("Try a text", "science", "sentiment_reading try"),
        ("Readings", "data_thresholding", "sentiment_reading"),
        ("Comments", "forum", "sentiment_comment"),
        ("Spikes", "trending_down", "sentiment_spike"),
        ("Watches", "visibility", "sentiment_watch"),
        ("Corrections", "rule", "sentiment_correction"),
        ("Competitors", "compare_arrows", "sentiment_competitor"),
        ("Batches", "stacks", "sentiment_batch"),
    ],
    "Backups": [
        ("Backups", "inventory_2", "backups_backuprun"),
        ("Backup jobs", "event_repeat", "backups_backupjob"),
    ],
    "Studio": [
        ("Users", "group", "core_user"),
        ("Groups", "badge", "auth_group"),
        ("Alerts", "notifications", "core_alert"),
        ("Audit", "policy", "core_auditentry"),
        ("Schedules", "schedule", "django_celery_beat_periodictask"),
        ("Events", "conversion_path", "core_eventhandling"),
        ("Processes", "memory", "core_lease"),
    ],
}

# The pages of models that have lines of their own.
PAGES = [place for lines in GROUPS.values() for _, _, place in lines if " " in place]


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar as Unfold wants it."""
    home: dict[str, Any] = {"title": "Today", "icon": "today", "link": reverse("admin:index")}
    home["active"] = request.path == home["link"]
    groups: list[dict[str, Any]] = [
        {"title": title, "items": [_line(request, *line) for line in lines]}
        for title, lines in GROUPS.items()
    ]
    for group in groups:
        # Where one is lies open, and the day's work at its beginning; the others are folded.
        here = any(line["active"] for line in group["items"])
        group["open"] = here or (home["active"] and group["title"] == "Publishing")
        # What asks for somebody is seen in a folded group too.
        asking = [line for line in group["items"] if "badge" in line]
        group |= {key: line[key] for line in asking for key in ("badge", "badge_variant")}
    return [{"title": "", "items": [home]}, *groups]


def _line(request: HttpRequest, title: str, icon: str, model: str) -> dict[str, Any]:
    model, _, page = model.partition(" ")
    link = _link(model, page)
    # A model's list is not open where a page of it with a line of its own is.
    others = [_link(*each.split()) for each in PAGES if each.startswith(f"{model} ") and not page]
    line: dict[str, Any] = {
        "title": title,
        "icon": icon,
        "link": link,
        "active": request.path.startswith(link) and not request.path.startswith(tuple(others)),
        "permission": _may_view(model),
    }
    if model == "scheduling_delivery" and (count := undecided_badge(request)):
        line["badge"], line["badge_variant"] = count, "danger"
    return line


def _link(model: str, page: str) -> str:
    return reverse(f"admin:{model}_{page or 'changelist'}")


def _may_view(model: str) -> Callable[[HttpRequest], bool]:
    app, _, name = model.rpartition("_")

    def allowed(request: HttpRequest) -> bool:
        user = request.user
        return user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}")

    return allowed
