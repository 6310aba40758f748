"""The studio's first page: what goes out next, and what needs a person."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps.core.admin.records import LEVELS
from apps.core.models import Alert
from apps.core.shown import badge, when
from apps.personas.models import Persona
from apps.scheduling import overview
from apps.scheduling.admin.shown import STATE_TONES, delivery_badges, network_label, state_badge
from apps.scheduling.models import Delivery, SocialAccount

State = Delivery.State

# The words under each figure: what it means for the person who reads it.
HINTS: dict[str, tuple[str, str]] = {
    State.NEEDS_REVIEW: ("Need a decision", "Is it there? Only you can tell."),
    State.FAILED: ("Failed", "The network said no. Change it or try again."),
    State.MISSED: ("Missed", "Too late to be sent by itself."),
    State.UNCONFIRMED: ("Unconfirmed", "Gator is finding out. Nothing to do yet."),
    State.AWAITING: ("For approval", "Wait until somebody approves them."),
    State.HELD: ("Held", "Wait until somebody releases them."),
}


def undecided_badge(request: HttpRequest) -> str:
    """For the sidebar: how many deliveries only a person can settle."""
    if not request.user.has_perm("scheduling.view_delivery"):
        return ""
    return str(overview.undecided() or "")


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What templates/admin/index.html shows; each part only to those who may see its rows."""
    may = request.user.has_perm
    context["title"] = "Today"
    if may("scheduling.view_delivery"):
        context |= _deliveries()
    if may("scheduling.view_post"):
        context["next_posts"] = [
            {
                "post": post,
                "when": when(post.scheduled_at),
                "badges": delivery_badges(post.waiting),  # type: ignore[attr-defined]
                "url": reverse("admin:scheduling_post_change", args=[post.pk]),
            }
            for post in overview.next_posts(8)
        ]
        context["may_write"] = may("scheduling.add_post")
    if may("scheduling.view_socialaccount"):
        context["troubled"] = [
            {
                "account": each.account,
                "network": network_label(each.account.network),
                "waiting": each.waiting,
                "reconnect": each.account.status == SocialAccount.Status.RECONNECT,
                "until": when(each.account.wait_until),
                "url": reverse("admin:scheduling_socialaccount_change", args=[each.account.pk]),
            }
            for each in overview.accounts_in_trouble()
        ]
    if may("core.view_alert"):
        context["alerts"] = [
            {
                "alert": row,
                "level": badge(LEVELS[row.level], row.get_level_display()),
                "when": when(row.raised_at),
            }
            for row in Alert.objects.all()[:5]
        ]
    if may("personas.view_persona"):
        context["holds"] = [{"hold": row, "since": when(row.placed_at)} for row in overview.holds()]
        context["is_new"] = not Persona.objects.exists()
    return context


def _deliveries() -> dict[str, Any]:
    page = reverse("admin:scheduling_delivery_changelist")
    counts = overview.counts_to_decide()
    figures = [
        {
            "label": HINTS[state][0],
            "hint": HINTS[state][1],
            "number": number,
            "tone": STATE_TONES[state] if number else "quiet",
            "url": f"{page}?state__exact={state}",
        }
        for state, number in counts.items()
    ]
    day = timezone.now() - timedelta(days=1)
    published = {
        "label": "Published",
        "hint": "In the last 24 hours.",
        "number": overview.published_since(day),
        "tone": "good",
        "url": f"{page}?state__exact={State.PUBLISHED}",
    }
    return {
        "figures": [*figures, published],
        "to_decide": [
            {
                "delivery": row,
                "state": state_badge(row),
                "when": when(row.changed_at),
                "network": network_label(row.account.network),
                "url": reverse("admin:scheduling_delivery_change", args=[row.pk]),
            }
            for row in overview.latest_to_decide(6)
        ],
    }
