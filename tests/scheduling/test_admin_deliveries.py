"""What staff do with deliveries: act, decide, and read what could not be done."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.core.models import AuditEntry
from apps.scheduling import services
from apps.scheduling.models import Delivery, SocialAccount

pytestmark = pytest.mark.django_db
State = Delivery.State
LIST = "/admin/scheduling/delivery/"


def delivery_in(account: SocialAccount, state: str, text: str = "") -> Delivery:
    post = services.schedule_post(
        services.Draft(
            persona=account.persona,
            accounts=[account],
            text=text or f"In {state}",
            scheduled_at=timezone.now() + timedelta(hours=1),
        ),
        by=None,
    )
    Delivery.objects.filter(post=post).update(state=state)
    return post.deliveries.get()


@pytest.mark.parametrize(
    ("action", "begin", "end"),
    [
        ("publish_now", State.SCHEDULED, State.SCHEDULED),
        ("retry", State.FAILED, State.SCHEDULED),
        ("hold", State.SCHEDULED, State.HELD),
        ("release", State.HELD, State.SCHEDULED),
        ("cancel", State.SCHEDULED, State.CANCELLED),
    ],
)
def test_an_action_does_what_it_can_and_names_the_rest(
    as_kei: Client, wall: SocialAccount, action: str, begin: str, end: str
) -> None:
    able, out = delivery_in(wall, begin, "Able"), delivery_in(wall, State.PUBLISHED, "Out <b>")
    page = as_kei.post(
        LIST, {"action": action, "_selected_action": [able.pk, out.pk]}, follow=True
    ).content.decode()
    able.refresh_from_db()
    out.refresh_from_db()
    assert (able.state, out.state) == (end, State.PUBLISHED)
    assert "Skipped “Out &lt;b&gt;" in page
    assert "1 done." in page
    if action == "publish_now":
        assert able.due_at <= timezone.now()


def test_the_buttons_on_the_page_are_those_its_state_allows(
    as_kei: Client, wall: SocialAccount
) -> None:
    def verbs(state: str) -> list[str]:
        page = as_kei.get(f"{LIST}{delivery_in(wall, state).pk}/change/")
        return [verb for verb, _ in page.context["verbs"]]

    assert verbs(State.SCHEDULED) == ["publish-now", "hold", "cancel"]
    assert verbs(State.HELD) == ["release", "cancel"]
    assert verbs(State.FAILED) == verbs(State.MISSED) == ["retry"]
    assert verbs(State.PUBLISHED) == ["unpublish", "mark-removed"]
    for state in (State.REMOVED, State.UNCONFIRMED, State.NEEDS_REVIEW, State.CANCELLED):
        assert verbs(state) == []


@pytest.mark.parametrize(
    ("answer", "end"),
    [("posted", State.PUBLISHED), ("post_again", State.SCHEDULED), ("leave", State.CANCELLED)],
)
def test_a_person_decides_what_no_machine_can_tell(
    as_kei: Client, wall: SocialAccount, answer: str, end: str
) -> None:
    row = delivery_in(wall, State.NEEDS_REVIEW)
    page = as_kei.get(f"{LIST}{row.pk}/change/").content.decode()
    for words in ("It is there", "It is not: post again", "Leave it"):
        assert words in page
    as_kei.post(
        f"{LIST}{row.pk}/decide/", {"answer": answer, "url": "https://example.org/1"}, follow=True
    )
    row.refresh_from_db()
    assert row.state == end
    assert row.remote_url == ("https://example.org/1" if answer == "posted" else "")
    assert AuditEntry.objects.filter(action=f"resolve: {answer}", actor_name="kei").exists()
    assert "kei" in as_kei.get(f"{LIST}{row.pk}/change/").content.decode()


@pytest.mark.parametrize("url", ["javascript:alert(1)", "nowhere", "ftp://example.org/"])
def test_a_link_that_is_no_web_address_is_refused(
    as_kei: Client, wall: SocialAccount, url: str
) -> None:
    row = delivery_in(wall, State.NEEDS_REVIEW)
    page = as_kei.post(f"{LIST}{row.pk}/decide/", {"answer": "posted", "url": url}, follow=True)
    assert "That is no address" in page.content.decode()
    row.refresh_from_db()
    assert row.state == State.NEEDS_REVIEW


def test_deciding_twice_says_that_it_was_decided(as_kei: Client, wall: SocialAccount) -> None:
    row = delivery_in(wall, State.NEEDS_REVIEW)
    as_kei.post(f"{LIST}{row.pk}/decide/", {"answer": "leave"})
    page = as_kei.post(f"{LIST}{row.pk}/decide/", {"answer": "post_again"}, follow=True)
    assert "does not wait for a decision" in page.content.decode()
    row.refresh_from_db()
    assert row.state == State.CANCELLED
