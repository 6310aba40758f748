"""The pages in a real browser: staff write a post, and nothing serious stands in anybody's way."""

from datetime import timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, ConsoleMessage, Page
from pytest_django.live_server_helper import LiveServer

from apps.core.models import User
from apps.personas.models import Fact
from apps.scheduling import authoring, planning, services, writing
from apps.scheduling.models import DraftRun, Post, QueueSlot, Series, SocialAccount, WallPost
from apps.scheduling.recurrence import Rule
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


def sign_in(page: Page, server: LiveServer, user: User) -> None:
    page.goto(f"{server.url}/admin/login/?next=/admin/")
    page.fill("#id_username", user.username)
    page.fill("#id_password", PASSWORD)
    page.click("#login-form button")
    page.get_by_role("heading", name="Next posts").wait_for()


def complaints_of(page: Page) -> list[str]:
    """What axe-core finds serious on the page as it is."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


Look = tuple[int, Literal["light", "dark"]]
LOOKS: list[Look] = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture
def posted(wall: SocialAccount) -> Post:
    """A post that waits, and one on the Wall."""
    WallPost.objects.create(key="k", handle="luna", text="Good morning https://example.org #fog")
    return services.schedule_post(
        services.Draft(
            persona=wall.persona,
            accounts=[wall],
            text="Good evening",
            scheduled_at=timezone.now() + timedelta(hours=1),
        ),
        by=None,
    )


def daily(post: Post) -> Series:
    """A series of the same persona, with slots beside it."""
    account = post.deliveries.get().account
    QueueSlot.objects.create(account=account, weekday="mon", at="09:00")
    draft = services.Draft(
        persona=account.persona, accounts=[account], text="Morning", scheduled_at=timezone.now()
    )
    rule = Rule(kind="daily", zone=ZoneInfo("Europe/Lisbon"), starts_on=timezone.localdate())
    return planning.create_series(planning.Plan(name="M", draft=draft, rule=rule), by=None)


def test_staff_write_a_post_and_see_it_counted(
    page: Page, live_server: LiveServer, kei: User, wall: SocialAccount
) -> None:
    sign_in(page, live_server, kei)
    page.get_by_role("link", name="Write a post").click()
    page.get_by_label("Text", exact=True).fill("👩‍👩‍👧 hi")
    page.locator(".g-count").get_by_text("4", exact=True).wait_for()
    page.get_by_role("button", name="Schedule", exact=True).click()
    page.get_by_text("Scheduled. It goes out on its own.").wait_for()
    assert Post.objects.get().text == "👩‍👩‍👧 hi"


def test_a_stop_takes_two_clicks_and_a_reason(
    page: Page, live_server: LiveServer, kei: User, wall: SocialAccount
) -> None:
    sign_in(page, live_server, kei)
    page.get_by_text("Stop everything…").click()
    page.get_by_label("Why?").fill("A rumour")
    page.get_by_role("button", name="Stop everything").click()
    page.get_by_text("Everything is stopped").first.wait_for()
    page.get_by_role("button", name="Let everything go on").click()
    page.get_by_text("Everything goes on.").wait_for()


def drafts(post: Post) -> DraftRun:
    """What the same persona was asked to write: one text is there, and no other can be."""
    persona = post.persona
    Fact.objects.create(persona=persona, text="Fog is best at six.")
    run = authoring.ask_for_drafts(authoring.Wish(persona=persona, brief="fog"), by=None)
    writing.write(run.pk)
    return run


def test_nothing_serious_stands_in_anybodys_way(
    browser: Browser, live_server: LiveServer, kei: User, posted: Post
) -> None:
    context = browser.new_context()
    page = context.new_page()
    refused: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            refused.append(message.text)

    page.on("console", listen)
    delivery = posted.deliveries.get()
    series = daily(posted)
    written = drafts(posted)
    public = ["/", "/wall/luna/", "/nope"]
    studio = [
        "/admin/",
        "/admin/scheduling/post/",
        "/admin/scheduling/post/add/",
        f"/admin/scheduling/post/{posted.pk}/change/",
        "/admin/scheduling/post/import/",
        "/admin/sentiment/comment/import/",
        "/admin/scheduling/webhookendpoint/add/",
        "/admin/scheduling/post/calendar/",
        "/admin/scheduling/post/calendar/?view=week",
        "/admin/scheduling/post/calendar/?view=list",
        "/admin/scheduling/series/",
        "/admin/scheduling/series/add/",
        f"/admin/scheduling/series/{series.pk}/change/",
        "/admin/scheduling/queueslot/",
        "/admin/scheduling/draftrun/",
        "/admin/scheduling/draftrun/add/",
        f"/admin/scheduling/draftrun/{written.pk}/change/",
        "/admin/scheduling/delivery/",
        f"/admin/scheduling/delivery/{delivery.pk}/change/",
        f"/admin/scheduling/socialaccount/{delivery.account_id}/change/",
        f"/admin/personas/persona/{posted.persona_id}/change/",
    ]
    faults: dict[str, Any] = {}
    for path in public:
        page.goto(live_server.url + path)
        check(page, path, faults, refused, LOOKS)
    sign_in(page, live_server, kei)
    for path in studio:
        page.goto(live_server.url + path)
        # What surrounds the pages is seen in all four looks, each page wide in one scheme and
        # narrow in the other.
        turn = studio.index(path) % 2
        check(page, path, faults, refused, [LOOKS[turn], LOOKS[3 - turn]])
    context.close()
    assert faults == {}


def check(
    page: Page, path: str, faults: dict[str, Any], refused: list[str], looks: list[Look]
) -> None:
    """Note what is wrong with the page: refused code, sideways scrolling, axe's complaints."""
    wrong = [*refused]
    for width, scheme in looks:
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        # The studio looks at the scheme once, when it opens.
        page.evaluate(
            "dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark"
        )
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"scrolls sideways at {width}")
        wrong += [f"{width} {scheme}: {each}" for each in complaints_of(page)]
    # axe's own styles are refused on the strict pages; that is no fault of the page.
    refused.clear()
    if wrong:
        faults[path] = wrong
