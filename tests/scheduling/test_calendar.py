"""The calendar: what is when, moved by mouse and by keyboard, and taken back."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.core.models import AuditEntry, User
from apps.personas.models import Persona
from apps.scheduling import agenda, services
from apps.scheduling.admin import calendar
from apps.scheduling.models import Delivery, Post, SocialAccount
from tests.conftest import PASSWORD, Everyone
from tests.scheduling.test_wall import HOSTILE

pytestmark = pytest.mark.django_db

CALENDAR = "/admin/scheduling/post/calendar/"
State = Delivery.State


def posted(account: SocialAccount, at: datetime, text: str = "Fog", state: str = "") -> Post:
    post = services.schedule_post(
        services.Draft(
            persona=account.persona,
            accounts=[account],
            text=text,
            scheduled_at=max(at, timezone.now()),
        ),
        by=None,
    )
    Post.objects.filter(pk=post.pk).update(scheduled_at=at)
    if state:
        post.deliveries.update(state=state)
    post.refresh_from_db()
    return post


def in_days(days: float) -> datetime:
    """So many days from the middle of this month, at nine."""
    middle = timezone.now().replace(day=15, hour=9, minute=0, second=0, microsecond=0)
    return middle + timedelta(days=days)


def moved(client: Client, post: Post, **wanted: str) -> Any:
    return client.post(f"/admin/scheduling/post/{post.pk}/move/", wanted)


# -- What it shows ------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["month", "week", "list"])
def test_each_view_shows_the_posts_of_its_days_in_words_and_colours(
    as_kei: Client, wall: SocialAccount, view: str
) -> None:
    for state in (State.PUBLISHED, State.FAILED, State.SCHEDULED):
        posted(wall, in_days(0), text=f"It is {state}", state=state)
    posted(wall, in_days(60), text="Another time")
    page = as_kei.get(CALENDAR, {"view": view, "at": in_days(0).date().isoformat()})
    shown = page.content.decode()
    for label, tone in (("Published", "good"), ("Failed", "bad"), ("Scheduled", "info")):
        assert f"</strong> {label}" in shown
        assert f'<span class="g-badge g-{tone}">{label}</span>' in shown
    assert shown.count("<strong>09:00</strong>") == 3
    assert "Another time" not in shown


def test_times_are_the_viewers(as_kei: Client, wall: SocialAccount) -> None:
    posted(wall, datetime(2027, 3, 31, 20, 30, tzinfo=UTC))
    as_kei.cookies["gator_zone"] = "Asia%2FKolkata"
    page = as_kei.get(CALENDAR, {"at": "2027-04-01"}).content.decode()
    assert "<strong>02:00</strong>" in page
    assert "Times are those of Asia/Kolkata." in page


def test_one_persona_can_be_looked_at(as_kei: Client, wall: SocialAccount, marlow: Persona) -> None:
    his = SocialAccount.objects.create(persona=marlow, network="wall", handle="marlow")
    posted(wall, in_days(0), text="Hers")
    posted(his, in_days(0), text="His")
    at = in_days(0).date().isoformat()
    page = as_kei.get(CALENDAR, {"at": at, "persona": str(marlow.pk)}).content.decode()
    assert "His" in page
    assert "Hers" not in page


def test_many_personas_are_a_list_to_choose_from(
    as_kei: Client, wall: SocialAccount, luna: Persona
) -> None:
    assert "<select" not in as_kei.get(CALENDAR).content.decode()
    for number in range(6):
        Persona.objects.create(name=f"Persona {number}", handle=f"persona{number}")
    posted(wall, in_days(0), text="Hers")
    query = {"at": in_days(0).date().isoformat(), "view": "week", "persona": str(luna.pk)}
    page = as_kei.get(CALENDAR, query).content.decode()
    assert f'<option value="{luna.pk}" selected>Luna</option>' in page
    # Choosing another keeps the days and the view.
    assert f'name="at" value="{query["at"]}"' in page
    assert 'name="view" value="week"' in page
    assert "Hers" in page


@pytest.mark.parametrize("query", ["view=year", "at=yesterday", "at=0001-01-01", "persona=x"])
def test_nonsense_in_the_address_is_the_ordinary_calendar(as_kei: Client, query: str) -> None:
    assert as_kei.get(f"{CALENDAR}?{query}").status_code == 200


def test_the_state_that_needs_somebody_is_the_one_that_shows(
    wall: SocialAccount, luna: Persona
) -> None:
    other = SocialAccount.objects.create(persona=luna, network="wall", handle="luna2")
    post = services.schedule_post(
        services.Draft(persona=luna, accounts=[wall, other], text="Fog", scheduled_at=in_days(40)),
        by=None,
    )
    post.deliveries.filter(account=other).update(state=State.FAILED)
    [entry] = agenda.between(in_days(39), in_days(41)).entries
    assert (entry.state, entry.can_move, entry.parts) == (State.FAILED, True, 1)
    post.deliveries.filter(account=wall).update(state=State.PUBLISHED)
    [entry] = agenda.between(in_days(39), in_days(41)).entries
    assert (entry.state, entry.can_move) == (State.FAILED, False)


def test_it_takes_three_queries_however_many_posts_and_says_what_it_leaves_out(
    wall: SocialAccount,
) -> None:
    for number in range(6):
        posted(wall, in_days(40) + timedelta(minutes=number), text=f"Post {number}")
    with CaptureQueriesContext(connection) as queries:
        found = agenda.between(in_days(39), in_days(41), most=4)
    assert len(queries) == 3
    assert ([each.text for each in found.entries], found.left_out) == (
        ["Post 0", "Post 1", "Post 2", "Post 3"], 2,
    )  # fmt: skip


def test_a_full_day_says_what_it_has_no_room_for_and_leads_to_the_list(
    as_kei: Client, wall: SocialAccount
) -> None:
    for number in range(calendar.MOST_A_DAY["month"] + 3):
        late = number >= calendar.MOST_A_DAY["month"] + 1
        posted(
            wall,
            in_days(0) + timedelta(minutes=number),
            text=f"Post {number}.",
            state=State.FAILED if late else State.PUBLISHED,
        )
    day = in_days(0).date().isoformat()
    page = as_kei.get(CALENDAR, {"at": day}).content.decode()
    assert "Post 7." in page and "Post 8." not in page
    assert f'href="?view=list&amp;at={day}">3 more' in page
    assert '<span class="g-badge g-bad">2 Failed</span>' in page
    page = as_kei.get(CALENDAR, {"view": "list", "at": day}).content.decode()
    assert "Post 10." in page


def test_a_long_list_goes_on_where_it_ends(
    as_kei: Client, wall: SocialAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        posted(wall, in_days(40 + number), text=f"Post {number}.")
    monkeypatch.setattr(calendar, "MOST_LISTED", 3)
    shown = []
    query = f"?view=list&at={in_days(40).date()}"
    for _ in range(2):
        page = as_kei.get(CALENDAR + query).content.decode()
        shown += re.findall(r"Post \d", page)
        query = html.unescape(re.findall(r'href="([^"]+)" rel="next"', page)[0])
    assert "2 more posts are in these days" not in page
    assert list(dict.fromkeys(shown)) == [f"Post {number}" for number in range(5)]


def test_hostile_text_is_inert(as_kei: Client, wall: SocialAccount) -> None:
    posted(wall, in_days(0), text=HOSTILE)
    for view in ("month", "list"):
        query = {"view": view, "at": in_days(0).date().isoformat()}
        page = as_kei.get(CALENDAR, query).content.decode()
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page


# -- Moving -------------------------------------------------------------------------------------


def test_a_move_changes_the_post_and_all_its_deliveries(
    as_kei: Client, wall: SocialAccount
) -> None:
    post = posted(wall, in_days(40))
    answer = moved(as_kei, post, local="2087-06-01T10:30:00").json()
    post.refresh_from_db()
    delivery = post.deliveries.get()
    assert post.scheduled_at == datetime(2087, 6, 1, 10, 30, tzinfo=UTC) == delivery.due_at
    assert delivery.too_late_at == post.too_late_at
    assert (answer["time"], answer["said"]) == ("10:30", "Sunday 1 June, 10:30")
    moved(as_kei, post, at=answer["before"])
    post.refresh_from_db()
    assert post.scheduled_at == in_days(40)
    assert AuditEntry.objects.filter(action="move post").count() == 2


def test_what_is_out_or_in_the_past_stays_where_it_is(as_kei: Client, wall: SocialAccount) -> None:
    out = posted(wall, in_days(40), state=State.PUBLISHED)
    answer = moved(as_kei, out, local="2087-06-01T10:30:00")
    assert (answer.status_code, "is out" in answer.json()["problem"]) == (409, True)
    waiting = posted(wall, in_days(40))
    answer = moved(as_kei, waiting, local="2020-06-01T10:30:00")
    assert answer.json()["problem"] == "This time has passed."
    for nonsense in ("", "tomorrow", "9999-12-31T23:00:00"):
        assert moved(as_kei, waiting, local=nonsense).status_code == 403


def test_only_staff_with_the_permission_look_and_move(
    everyone: Everyone, wall: SocialAccount
) -> None:
    post = posted(wall, in_days(40))
    for role, user in everyone.items():
        client = Client()
        if user is not None:
            client.force_login(user)
        expected = {"staff": 200, "superuser": 200, "staff without the permission": 403}
        assert client.get(CALENDAR).status_code == expected.get(role, 302), role
        answer = moved(client, post, local="2087-06-01T10:30:00")
        assert answer.status_code == expected.get(role, 302), role


@pytest.mark.django_db(transaction=True)
def test_a_post_is_dragged_moved_by_keyboard_and_taken_back(
    live_server: LiveServer, page: Page, kei: User, wall: SocialAccount
) -> None:
    # Next month, so that every day of the grid is still to come.
    first = (timezone.now().replace(day=1) + timedelta(days=40)).replace(
        day=10, hour=9, minute=0, second=0, microsecond=0
    )
    post = posted(wall, first)
    page.context.add_cookies([{"name": "gator_zone", "value": "UTC", "url": live_server.url}])
    page.goto(f"{live_server.url}/admin/login/?next={CALENDAR}?at={first:%Y-%m-%d}")
    page.fill("#id_username", kei.username)
    page.fill("#id_password", PASSWORD)
    page.click("#login-form button")
    entry = page.locator(".g-entry")
    expect(entry).to_contain_text("Scheduled")
    entry.drag_to(page.locator(f'[data-date="{first:%Y-%m}-18"]'))
    expect(page.locator(f'[data-date="{first:%Y-%m}-18"] .g-entry')).to_be_visible()
    post.refresh_from_db()
    assert post.scheduled_at == first.replace(day=18)
    entry.focus()
    page.keyboard.press("Alt+ArrowRight")
    expect(page.locator(f'[data-date="{first:%Y-%m}-19"] .g-entry')).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator(f'[data-date="{first:%Y-%m}-12"] .g-entry')).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.locator(f'[data-date="{first:%Y-%m}-19"] .g-entry')).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f'[data-date="{first:%Y-%m}-18"] .g-entry')).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f'[data-date="{first:%Y-%m}-10"] .g-entry')).to_be_visible()
    post.refresh_from_db()
    assert post.scheduled_at == first
    Delivery.objects.update(state=State.PUBLISHED)
    entry.focus()
    page.keyboard.press("Alt+ArrowRight")
    expect(page.locator("#said")).to_contain_text("is out")


def test_every_state_has_its_place_in_the_legend() -> None:
    assert set(agenda.BY_NEED) == set(Delivery.State)


def test_a_post_that_waits_for_approval_is_there_and_can_be_moved(
    as_kei: Client, wall: SocialAccount
) -> None:
    wall.persona.needs_approval = True
    wall.persona.save()
    at = timezone.now() + timedelta(days=2)
    services.schedule_post(
        services.Draft(persona=wall.persona, accounts=[wall], text="Soon", scheduled_at=at), by=None
    )
    shown = as_kei.get("/admin/scheduling/post/calendar/?view=list").content.decode()
    assert "Waits for approval" in shown and "Soon" in shown
