"""Accounts say in time when their access ends, and posts say how they did."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.core.fields import Sealed
from apps.core.models import Alert, User
from apps.personas.models import Persona
from apps.scheduling import following, health, publishing, services
from apps.scheduling.models import Delivery, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    NO_RIGHT,
    Account,
    Echo,
    Identity,
    NeedsReconnect,
    Permanent,
    Posted,
    Reply,
    Temporary,
)
from apps.sentiment.models import Comment, Engagement
from tests.scheduling.standin import StandIn

pytestmark = pytest.mark.django_db(transaction=True)


class Telling(StandIn):
    """A network that tells how posts did."""

    echo: ClassVar[Echo | Exception] = Echo()
    asked: ClassVar[list[Posted]] = []
    works: ClassVar[bool] = True

    def test(self, account: Account) -> Identity:
        if not self.works:
            raise NeedsReconnect("Expired.")
        return Identity(handle=account.handle)

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        self.asked.append(posted)
        if isinstance(self.echo, Exception):
            raise self.echo
        return self.echo


@pytest.fixture
def account(settings: Settings, luna: Persona) -> SocialAccount:
    settings.PUBLISHERS = {
        **settings.PUBLISHERS,
        "telling": {"BACKEND": "tests.scheduling.test_upkeep.Telling"},
    }
    Telling.echo, Telling.works = Echo(), True
    Telling.asked.clear()
    return SocialAccount.objects.create(
        persona=luna, network="telling", handle="luna", status="working"
    )


def schedule(
    account: SocialAccount, after: timedelta = timedelta(), *, text: str = "Fog"
) -> Delivery:
    post = services.schedule_post(
        services.Draft(
            persona=account.persona,
            accounts=[account],
            text=text,
            scheduled_at=timezone.now() + after,
        ),
        by=None,
    )
    return post.deliveries.get()


# -- Health -------------------------------------------------------------------------------------

NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("credentials", "ends"),
    [
        ({}, None),
        ({"access_token": "a", "expires_at": NOW}, NOW),
        ({"access_token": "a", "refresh_token": "r", "expires_at": NOW}, None),
        ({"access_token": "a", "refresh_token": "r", "refresh_expires_at": NOW}, NOW),
        ({"expires_at": "soon"}, None),
        ({"expires_at": -1}, None),
    ],
)
def test_a_token_that_renews_itself_has_no_end(
    credentials: dict[str, Any], ends: int | None
) -> None:
    found = health.access_ends(credentials)
    assert (int(found.timestamp()) if found else None) == ends


def test_people_are_told_before_access_ends_and_how_many_posts_are_at_risk(
    account: SocialAccount, api: APIClient, as_kei: Client
) -> None:
    ends = timezone.now() + timedelta(days=5)
    account.credentials = Sealed.of({"token": "x", "expires_at": int(ends.timestamp())})
    account.save()
    schedule(account, timedelta(days=1))
    for _ in range(2):
        schedule(account, timedelta(days=6))
    assert health.check_accounts() == 1
    assert health.check_accounts() == 0
    [alert] = Alert.objects.all()
    assert alert.title.startswith("Access of luna on telling ends ")
    assert alert.body.startswith("2 waiting posts")
    shown = api.get(f"/api/v1/accounts/{account.pk}/").json()
    assert (shown["posts_at_risk"], shown["access_ends_at"][:10]) == (2, f"{ends:%Y-%m-%d}")
    page = as_kei.get(f"/admin/scheduling/socialaccount/{account.pk}/change/").content.decode()
    assert "2 posts are at risk." in page
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        health.check_accounts()
        health.check_accounts()
    assert Alert.objects.count() == 2


def test_refused_credentials_are_noticed_before_a_post_needs_them(account: SocialAccount) -> None:
    Telling.works = False
    health.check_accounts()
    account.refresh_from_db()
    assert account.status == "reconnect"
    assert Alert.objects.get().title == "Reconnect luna on telling"


def test_a_paused_account_is_left_alone(account: SocialAccount) -> None:
    SocialAccount.objects.update(status="paused")
    assert health.check_accounts() == 0


# -- How posts did ------------------------------------------------------------------------------


@pytest.fixture
def out(account: SocialAccount) -> Delivery:
    return publish(account)


def publish(account: SocialAccount, text: str = "Fog") -> Delivery:
    """A post that went out an hour ago."""
    delivery = schedule(account, text=text)
    publishing.publish([delivery.pk])
    rows = Delivery.objects.filter(pk=delivery.pk)
    rows.update(published_at=timezone.now() - timedelta(hours=1))
    delivery.refresh_from_db()
    return delivery


def turn_comes() -> None:
    """Every post's turn to be asked about has come again."""
    Delivery.objects.update(followed_at=timezone.now() - timedelta(minutes=31))


def test_likes_and_replies_are_kept_for_reading(out: Delivery) -> None:
    Telling.echo = Echo(
        likes=7,
        comments=2,
        shares=1,
        replies=(
            Reply(remote_id="r1", text="So calm, I love it", author="fan"),
            Reply(remote_id="r2", text="  "),
        ),
    )
    assert following.follow_due() == 1
    row = Engagement.objects.get()
    assert (row.likes, row.comments, row.shares, row.post) == (7, 2, 1, out.post_id)
    comment = Comment.objects.get()
    assert (comment.text, comment.author, comment.post) == (
        "So calm, I love it",
        "fan",
        out.post_id,
    )
    assert Telling.asked[0].remote_id == out.remote_id


def test_its_numbers_are_kept_over_time_and_shown_on_the_post(
    out: Delivery, as_kei: Client, api_of: Callable[[User], APIClient], kei: User
) -> None:
    now = timezone.now()
    for hour, likes in enumerate([0, 3, 3, 8]):
        Telling.echo = Echo(likes=likes, shares=1)
        with time_machine.travel(now + timedelta(hours=hour), tick=False):
            assert following.follow_due() == 1
    answer = api_of(kei).get(f"/api/v1/deliveries/{out.pk}/measurements/").json()
    assert [(each["likes"], each["shares"]) for each in answer] == [(0, 1), (3, 1), (8, 1)]
    for page in (f"post/{out.post_id}", f"delivery/{out.pk}"):
        shown = as_kei.get(f"/admin/scheduling/{page}/change/").content.decode()
        assert "How it did" in shown
        assert "<dt>Likes</dt><dd>8</dd>" in shown
        assert "<polyline points=" in shown


AGES: list[tuple[timedelta, timedelta, bool]] = [
    (timedelta(minutes=5), timedelta(days=9), False),
    (timedelta(hours=1), timedelta(minutes=20), False),
    (timedelta(hours=1), timedelta(minutes=40), True),
    (timedelta(days=2), timedelta(hours=5), False),
    (timedelta(days=2), timedelta(hours=7), True),
    (timedelta(days=20), timedelta(hours=20), False),
    (timedelta(days=20), timedelta(hours=25), True),
    (timedelta(days=31), timedelta(days=20), False),
]


@pytest.mark.parametrize(("age", "last", "asked"), AGES)
def test_the_older_a_post_the_rarer_it_is_asked_about(
    out: Delivery, age: timedelta, last: timedelta, asked: bool
) -> None:
    now = timezone.now()
    Delivery.objects.update(published_at=now - age, followed_at=now - last)
    assert following.follow_due() == int(asked)
    assert following.follow_due() == 0


@pytest.mark.parametrize("error", [Temporary("Busy."), ValueError("nonsense")])
def test_a_network_that_does_not_tell_is_asked_at_the_next_turn(
    out: Delivery, error: Exception
) -> None:
    Telling.echo = error
    assert following.follow_due() == 0
    assert not Engagement.objects.exists()
    Telling.echo = Echo(likes=1)
    Delivery.objects.update(followed_at=timezone.now() - timedelta(hours=1))
    assert following.follow_due() == 1


def test_only_networks_that_tell_are_asked(
    out: Delivery, wall: SocialAccount, account_on: Callable[[str], SocialAccount]
) -> None:
    schedule(wall)
    publishing.publish()
    Delivery.objects.update(published_at=timezone.now() - timedelta(hours=1))
    assert not publishers["wall"].can_follow_up
    assert following.follow_due() == 1


def test_a_missing_right_is_said_on_the_account_which_goes_on_publishing(
    out: Delivery, account: SocialAccount, as_kei: Client, api: APIClient
) -> None:
    Telling.echo = Permanent("Likes need insights_right.", code=NO_RIGHT)
    assert following.follow_due() == 0

    def said() -> tuple[str, str]:
        page = as_kei.get(f"/admin/scheduling/socialaccount/{account.pk}/change/")
        shown = api.get(f"/api/v1/accounts/{account.pk}/").json()["follow_up_detail"]
        return shown, page.content.decode()

    shown, page = said()
    assert shown == "Likes need insights_right." and shown in page
    account.refresh_from_db()
    assert account.status == "working"
    assert publish(account, "More fog").state == Delivery.State.PUBLISHED
    # Part of it: the numbers come, and the page says what the replies would need.
    turn_comes()
    Telling.echo = Echo(likes=3, lacking="Replies need reading_right.")
    assert following.follow_due() == 2
    assert said()[0] == "Replies need reading_right."
    assert Engagement.objects.filter(likes=3).count() == 2
    # A look at which nothing was learnt of rights leaves the word; then the right is there.
    turn_comes()
    Telling.echo = Echo(likes=4)
    following.follow_due()
    assert said()[0] == "Replies need reading_right."
    turn_comes()
    Telling.echo = Echo(likes=4, lacking="")
    following.follow_due()
    shown, page = said()
    assert shown == "" and "cannot be asked in full" not in page


@pytest.mark.parametrize(
    ("error", "questions"),
    [
        (Temporary("Slow down.", whole_account=True), 1),
        (NeedsReconnect("Expired."), 1),
        (Permanent("No right.", code=NO_RIGHT), 1),
        (Temporary("Busy."), 2),
        (Permanent("It is gone."), 2),
    ],
)
def test_an_account_that_does_not_tell_now_is_not_pressed(
    out: Delivery, account: SocialAccount, error: Exception, questions: int
) -> None:
    publish(account, "More fog")
    Telling.echo = error
    assert following.follow_due() == 0
    assert len(Telling.asked) == questions
    # What was not asked waits for its next turn as well.
    following.follow_due()
    assert len(Telling.asked) == questions
    account.refresh_from_db()
    assert account.status == "working"


@pytest.mark.parametrize("author", ["luna", "@Luna", ""])
def test_what_the_persona_wrote_below_is_nobodys_opinion(out: Delivery, author: str) -> None:
    Telling.echo = Echo(
        comments=2,
        replies=(
            Reply(remote_id="own", text="Part two", author=author),
            Reply(remote_id="fan", text="So calm", author="luna.fan"),
        ),
    )
    assert following.follow_due() == 1
    own = {"own"} if not author else set()
    assert set(Comment.objects.values_list("remote_id", flat=True)) == {"fan"} | own


def test_a_comment_of_our_own_is_not_asked_about(
    out: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    Delivery.objects.update(part=1)
    monkeypatch.setattr(Telling, "comments", True)
    assert following.follow_due() == 0
    monkeypatch.setattr(Telling, "comments", False)
    assert following.follow_due() == 1


@pytest.mark.parametrize(
    ("age", "last", "asked"),
    [
        (timedelta(hours=3), None, True),
        (timedelta(hours=10), timedelta(hours=5), False),
        (timedelta(hours=10), timedelta(hours=7), True),
        (timedelta(days=5), timedelta(hours=20), False),
        (timedelta(days=5), timedelta(hours=25), True),
        (timedelta(days=20), timedelta(days=6), False),
        (timedelta(days=20), timedelta(days=8), True),
        (timedelta(days=31), None, False),
    ],
)
def test_a_network_that_charges_is_asked_a_dozen_times_in_all(
    out: Delivery,
    monkeypatch: pytest.MonkeyPatch,
    age: timedelta,
    last: timedelta | None,
    asked: bool,
) -> None:
    monkeypatch.setattr(Telling, "charges_to_ask", True)
    now = timezone.now()
    Delivery.objects.update(published_at=now - age, followed_at=last and now - last)
    assert following.follow_due() == int(asked)
