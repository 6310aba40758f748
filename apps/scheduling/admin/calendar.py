"""The calendar: a month, a week or a list of posts, each moved by hand or by keyboard."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from apps.core.admin.base import acting
from apps.personas.models import Persona
from apps.scheduling import agenda, recurrence, services
from apps.scheduling.admin.shown import STATE_TONES, network_label
from apps.scheduling.models import Delivery, Post

VIEWS = {"month": "Month", "week": "Week", "list": "List"}
LIST_DAYS = 30
MOST_LISTED = 500
# So many personas have a button each; more are a list to choose from.
MOST_BUTTONS = 5
# A day shows so many; the list has the rest.
MOST_A_DAY = {"month": 8, "week": 30}
EARLIEST, LATEST = date(1971, 1, 1), date(2199, 1, 1)
LABELS = dict(Delivery.State.choices)


def context(request: HttpRequest) -> dict[str, Any]:
    """What the calendar's page shows for this request, in the viewer's zone."""
    zone = timezone.get_current_timezone()
    today = timezone.localdate()
    view = request.GET.get("view", "month")
    view = view if view in VIEWS else "month"
    at = _date(request.GET.get("at", "")) or today
    chosen = _uuid(request.GET.get("persona", ""))
    persona = Persona.objects.filter(pk=chosen).first() if chosen else None
    first, days = _span(view, at)
    found = agenda.between(
        _midnight(first, zone),
        _midnight(first + timedelta(days=days), zone),
        persona=persona.pk if persona else None,
        most=MOST_LISTED if view == "list" else agenda.MOST,
    )

    def link(**changes: Any) -> str:
        given = {"view": view, "at": at.isoformat(), "persona": persona.pk if persona else ""}
        return "?" + urlencode({k: v for k, v in {**given, **changes}.items() if v})

    by_day = _by_day(found.entries, zone)
    room = MOST_A_DAY.get(view, MOST_LISTED)

    def of(day: date) -> dict[str, Any]:
        entries = by_day.get(day, [])
        return {
            "date": day,
            "entries": [_shown(entry, zone) for entry in entries[:room]],
            "more": _rest(entries[room:], link(view="list", at=day.isoformat())),
            "is_today": day == today,
            "is_outside": view == "month" and day.month != at.month,
        }

    shown = [of(first + timedelta(days=number)) for number in range(days)]
    later = _step(view, at, 1)
    if view == "list" and found.left_out:
        # Goes on where this page ends.
        later = max(max(by_day), at + timedelta(days=1)).isoformat()

    personas = list(Persona.objects.active())
    return {
        "view": view,
        "views": [(name, label, link(view=name)) for name, label in VIEWS.items()],
        "at": at,
        "at_iso": at.isoformat(),
        "heading": _heading(view, first, days, at),
        "weeks": [shown[start : start + 7] for start in range(0, len(shown), 7)],
        "days": [day for day in shown if day["entries"] or view != "list"],
        "weekdays": recurrence.NAMES,
        "earlier": link(at=_step(view, at, -1)),
        "later": link(at=later),
        "now": link(at=today.isoformat()),
        "personas": [(each, link(persona=each.pk)) for each in personas],
        "many_personas": len(personas) > MOST_BUTTONS,
        "everybody": link(persona=""),
        "persona": persona,
        "left_out": found.left_out,
        "count": len(found.entries),
        "legend": [(STATE_TONES[str(state)], LABELS[str(state)]) for state in agenda.BY_NEED],
        "zone": timezone.get_current_timezone_name(),
    }


def move(request: HttpRequest, post_id: UUID) -> JsonResponse:
    """Give a post another time: `local` on the viewer's clock, or `at` with its offset."""
    post = get_object_or_404(Post, pk=post_id)
    zone = timezone.get_current_timezone()
    before = post.scheduled_at
    wanted = _wanted(request, zone)
    if wanted is None:
        raise PermissionDenied
    try:
        post = services.move_post(post, at=wanted, by=acting(request))
    except services.Refused as refused:
        return JsonResponse({"problem": str(refused)}, status=409)
    local = post.scheduled_at.astimezone(zone)
    return JsonResponse(
        {
            "at": post.scheduled_at.isoformat(),
            "before": before.isoformat(),
            "local": local.strftime("%Y-%m-%dT%H:%M:%S"),
            "time": local.strftime("%H:%M"),
            "said": f"{local:%A} {local.day} {local:%B, %H:%M}",
        }
    )


def _wanted(request: HttpRequest, zone: tzinfo) -> datetime | None:
    try:
        if "at" in request.POST:
            exact = datetime.fromisoformat(request.POST["at"])
            return exact if exact.tzinfo else None
        local = datetime.fromisoformat(request.POST.get("local", "")).replace(tzinfo=None)
    except ValueError:
        return None
    if not EARLIEST <= local.date() <= LATEST:
        return None
    return recurrence.moment_of(local, ZoneInfo(str(zone))).at


def _by_day(entries: Iterable[agenda.Entry], zone: tzinfo) -> dict[date, list[agenda.Entry]]:
    days: dict[date, list[agenda.Entry]] = {}
    for entry in entries:
        days.setdefault(entry.at.astimezone(zone).date(), []).append(entry)
    return days


def _shown(entry: agenda.Entry, zone: tzinfo) -> dict[str, Any]:
    local = entry.at.astimezone(zone)
    return {
        "entry": entry,
        "url": reverse("admin:scheduling_post_change", args=[entry.post_id]),
        "local": local.strftime("%Y-%m-%dT%H:%M:%S"),
        "time": local.strftime("%H:%M"),
        "tone": STATE_TONES[entry.state],
        "state": LABELS[entry.state],
        "networks": ", ".join(network_label(each) for each in entry.networks),
    }


def _rest(entries: Sequence[agenda.Entry], url: str) -> dict[str, Any] | None:
    """What a day has no room for: how many, and the state among them that most needs an eye."""
    if not entries:
        return None
    worst = min((entry.state for entry in entries), key=agenda.need)
    return {
        "count": len(entries),
        "url": url,
        "tone": STATE_TONES[worst],
        "alike": sum(entry.state == worst for entry in entries),
        "state": LABELS[worst],
    }


def _span(view: str, at: date) -> tuple[date, int]:
    """The first day shown, and how many."""
    if view == "list":
        return at, LIST_DAYS
    if view == "week":
        return at - timedelta(days=at.weekday()), 7
    first = at.replace(day=1)
    monday = first - timedelta(days=first.weekday())
    following = (first + timedelta(days=31)).replace(day=1)
    weeks = -(-(following - monday).days // 7)
    return monday, weeks * 7


def _step(view: str, at: date, direction: int) -> str:
    if view == "month":
        at = at.replace(day=15) + direction * timedelta(days=30)
        return at.replace(day=1).isoformat()
    days = 7 if view == "week" else LIST_DAYS
    return (at + direction * timedelta(days=days)).isoformat()


def _heading(view: str, first: date, days: int, at: date) -> str:
    if view == "month":
        return f"{at:%B %Y}"
    last = first + timedelta(days=days - 1)
    return f"{first.day} {first:%B} to {last.day} {last:%B %Y}"


def _midnight(day: date, zone: tzinfo) -> datetime:
    return recurrence.moment_of(datetime.combine(day, time()), ZoneInfo(str(zone))).at


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if EARLIEST <= found <= LATEST else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
