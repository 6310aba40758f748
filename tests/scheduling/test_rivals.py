"""Competitors come in by themselves: page by page, nothing twice, and no failing one is pressed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.core.models import Alert
from apps.personas.models import Persona
from apps.scheduling import rivals
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import Account, Permanent, Reply, Temporary
from apps.scheduling.publishers.public import Page, Profile, Public, PublicPost
from apps.sentiment import comparing, reading, services, tracking
from apps.sentiment.models import Comment, Competitor, Engagement
from apps.sentiment.recording import Subject
from tests.scheduling.standin import StandIn

pytestmark = pytest.mark.django_db(transaction=True)


class Showing(StandIn, Public):
    """A network with one public account: pages of posts, and what stands below each."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[list[PublicPost]] = [[]]
        self.below_posts: dict[str, tuple[Reply, ...] | Exception] = {}
        self.trouble: Exception | None = None
        self.asked: list[str] = []

    def profile(self, account: Account) -> Profile:
        self.asked.append("profile")
        if self.trouble:
            raise self.trouble
        return Profile(id="7", followers=200)

    def listing(self, account: Account, profile: Profile, cursor: str) -> Page:
        number = int(cursor or 0)
        self.asked.append(f"page {number}")
        posts = self.pages[number]
        return Page(
            posts=tuple(posts),
            oldest=min((each.posted_at for each in posts), default=None),
            cursor=str(number + 1) if number + 1 < len(self.pages) else "",
        )

    def below(self, account: Account, profile: Profile, post: PublicPost) -> tuple[Reply, ...]:
        self.asked.append(post.id)
        found = self.below_posts.get(post.id, ())
        if isinstance(found, Exception):
            raise found
        return found


def post(name: str, *, days: float = 0.5, comments: int = 0, likes: int = 0) -> PublicPost:
    return PublicPost(
        remote_id=f"at://rival/{name}",
        id=name,
        text="Our new lens",
        posted_at=timezone.now() - timedelta(days=days),
        likes=likes,
        comments=comments,
    )


def said(name: str, text: str) -> Reply:
    return Reply(remote_id=f"at://fan/{name}", text=text, author="fan", written_at=timezone.now())


@pytest.fixture
def network(settings: Settings) -> Showing:
    settings.PUBLISHERS = {
        **settings.PUBLISHERS,
        "showing": {"BACKEND": "tests.scheduling.test_rivals.Showing"},
    }
    found = publishers["showing"]
    assert isinstance(found, Showing)
    return found


@pytest.fixture
def rival() -> Competitor:
    return Competitor.objects.create(name="Rival", network="showing", handle="rival")


@pytest.fixture
def next_turn(rival: Competitor) -> Callable[[], int]:
    """Its turn has come again."""

    def turn() -> int:
        Competitor.objects.update(fetch_at=timezone.now() - timedelta(seconds=1))
        return rivals.fetch_due()

    return turn


def test_posts_and_comments_of_a_competitor_come_in(network: Showing, rival: Competitor) -> None:
    network.pages = [[post("one", comments=2, likes=30), post("two")]]
    network.below_posts = {"one": (said("a", "I love it"), said("b", "Awful, it broke at once"))}
    assert rivals.fetch_due() == 1
    assert set(Comment.objects.values_list("competitor", "text")) == {
        (rival.pk, "I love it"),
        (rival.pk, "Awful, it broke at once"),
    }
    row = Engagement.objects.get(remote_id="at://rival/one")
    assert (row.competitor_id, row.likes, row.comments, row.audience) == (rival.pk, 30, 2, 200)
    rival.refresh_from_db()
    assert rival.followers == 200
    assert rival.fetched_at and rival.fetch_at and rival.fetch_at > timezone.now()


def test_what_came_in_is_compared(network: Showing, rival: Competitor, luna: Persona) -> None:
    network.pages = [[post("one", comments=30, likes=10)]]
    network.below_posts = {"one": tuple(said(str(n), f"Awful lens, take {n}") for n in range(30))}
    rivals.fetch_due()
    reading.read_unread(most=100)
    now = timezone.now()
    theirs = comparing.standing(
        Subject(competitor_id=rival.pk), now - timedelta(days=3), now + timedelta(days=1)
    )
    assert theirs.readings == 30
    assert theirs.average < -0.2
    assert theirs.engagement_rate == pytest.approx(40 / 200)


def test_nothing_is_fetched_twice(
    network: Showing, rival: Competitor, next_turn: Callable[[], int]
) -> None:
    network.pages = [[post("one", comments=1), post("two", comments=1)]]
    network.below_posts = {"one": (said("a", "Nice"),), "two": (said("b", "Good"),)}
    assert rivals.fetch_due() == 1
    assert rivals.fetch_due() == 0
    network.asked.clear()
    network.pages = [[post("one", comments=1, likes=5), post("two", comments=2)]]
    network.below_posts["two"] = (said("b", "Good"), said("c", "Great"))
    assert next_turn() == 1
    # Only where the listing tells of new comments are they asked for; the likes are new anyway.
    assert network.asked == ["profile", "page 0", "two"]
    assert Comment.objects.count() == 3
    assert Engagement.objects.get(remote_id="at://rival/one").likes == 5


def test_the_first_look_goes_back_a_month_and_later_ones_a_week(
    network: Showing, rival: Competitor, next_turn: Callable[[], int]
) -> None:
    network.pages = [[post("new")], [post("weeks", days=20)], [post("old", days=31)], [post("far")]]
    assert rivals.fetch_due() == 1
    assert network.asked == ["profile", "page 0", "page 1", "page 2"]
    assert set(Engagement.objects.values_list("remote_id", flat=True)) == {
        "at://rival/new",
        "at://rival/weeks",
    }
    network.asked.clear()
    assert next_turn() == 1
    assert network.asked == ["profile", "page 0", "page 1"]


def test_a_turn_that_is_cut_short_goes_on_where_it_was(
    network: Showing,
    rival: Competitor,
    next_turn: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rivals, "MOST_CALLS", 4)
    network.pages = [
        [post("one", comments=1)],
        [post("two", comments=1), post("three", comments=1)],
    ]
    network.below_posts = {name: (said(name, "Nice"),) for name in ("one", "two", "three")}
    assert rivals.fetch_due() == 1
    assert network.asked == ["profile", "page 0", "one", "page 1"]
    rival.refresh_from_db()
    assert rival.cursor == "1"
    assert rival.fetched_at is None
    assert rival.fetch_at and rival.fetch_at < timezone.now() + timedelta(minutes=6)
    network.asked.clear()
    assert next_turn() == 1
    assert network.asked == ["profile", "page 1", "two", "three"]
    rival.refresh_from_db()
    assert (rival.cursor, rival.fetched_at is None) == ("", False)


def test_a_worker_that_died_leaves_its_turn_to_another(network: Showing, rival: Competitor) -> None:
    assert len(tracking.take({"showing"}, 5)) == 1
    assert tracking.take({"showing"}, 5) == []
    Competitor.objects.update(fetch_at=timezone.now() - timedelta(seconds=1))
    assert len(tracking.take({"showing"}, 5)) == 1


def test_a_post_that_is_gone_stops_nothing(network: Showing, rival: Competitor) -> None:
    network.pages = [[post("gone", comments=4), post("one", comments=1)]]
    network.below_posts = {"gone": Permanent("No such post."), "one": (said("a", "Nice"),)}
    assert rivals.fetch_due() == 1
    assert Comment.objects.count() == 1


# -- Failures -----------------------------------------------------------------------------------


def test_an_account_that_is_gone_is_named_and_left_alone_for_a_day(
    network: Showing, rival: Competitor, next_turn: Callable[[], int]
) -> None:
    network.trouble = Permanent("Profile not found.")
    assert rivals.fetch_due() == 0
    rival.refresh_from_db()
    assert rival.fault == "Profile not found."
    assert rival.fetch_at and rival.fetch_at > timezone.now() + timedelta(hours=23)
    assert Alert.objects.get().title == "Rival cannot be fetched from showing"
    assert next_turn() == 0
    assert Alert.objects.count() == 1
    network.trouble = None
    assert next_turn() == 1
    rival.refresh_from_db()
    assert (rival.fault, rival.failures) == ("", 0)


def test_trouble_of_the_network_is_tried_ever_more_rarely() -> None:
    waits = [tracking.pause(n, lasting=False, wait=None) for n in range(1, 10)]
    assert waits == sorted(waits)
    assert waits[0] == timedelta(minutes=15)
    assert waits[-1] == timedelta(days=1)
    assert tracking.pause(1, lasting=False, wait=3_600) == timedelta(hours=1)
    assert tracking.pause(1, lasting=False, wait=1e12) == timedelta(days=1)


def test_people_are_told_when_trouble_lasts(
    network: Showing, rival: Competitor, next_turn: Callable[[], int]
) -> None:
    network.trouble = Temporary("Showing has trouble: HTTP 503")
    for _ in range(3):
        assert next_turn() == 0
    assert not Alert.objects.exists()
    next_turn()
    assert Alert.objects.get().body == "Showing has trouble: HTTP 503"


def test_a_rate_limit_rests_every_account_of_the_server(
    network: Showing, rival: Competitor
) -> None:
    other = Competitor.objects.create(name="Other", network="showing", handle="other")
    elsewhere = Competitor.objects.create(
        name="Elsewhere", network="showing", handle="x", server="https://x.example"
    )
    network.trouble = Temporary("Slow down.", code="rate_limited", retry_after=3_600)
    tracking.failed(rival.pk, "Slow down.", lasting=False, wait=3_600, whole_server=True)
    for row, waits in ((rival, True), (other, True), (elsewhere, False)):
        row.refresh_from_db()
        assert bool(row.fetch_at and row.fetch_at > timezone.now()) is waits


def test_a_bug_is_no_reason_to_press_on(network: Showing, rival: Competitor) -> None:
    network.trouble = ValueError("nonsense")
    assert rivals.fetch_due() == 0
    rival.refresh_from_db()
    assert "the log says where" in rival.fault
    assert rivals.fetch_due() == 0


@pytest.mark.parametrize("changes", [{"is_active": False}, {"network": "import"}])
def test_inactive_and_imported_ones_are_not_fetched(
    network: Showing, rival: Competitor, changes: dict[str, Any]
) -> None:
    Competitor.objects.update(**changes)
    assert rivals.fetch_due() == 0
    assert network.asked == []


def test_a_changed_account_is_looked_at_anew(network: Showing, rival: Competitor) -> None:
    tracking.failed(rival.pk, "Gone.", lasting=True, wait=None, whole_server=False)
    services.fetch_soon(rival)
    rival.refresh_from_db()
    assert (rival.fault, rival.failures, rival.cursor, rival.fetch_at) == ("", 0, "", None)


def test_since_never_reaches_beyond_a_month() -> None:
    now: datetime = timezone.now()
    assert tracking._since(now - timedelta(days=90), now) == now - tracking.FIRST
