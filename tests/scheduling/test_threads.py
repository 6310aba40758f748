"""Threads and first comments: each part replies to the one before, in order, each once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.scheduling import publishing, recovery, services
from apps.scheduling.drafting import Part
from apps.scheduling.models import Delivery, Media, SocialAccount, WallPost
from apps.scheduling.publishers.base import Permanent, Temporary, Unconfirmed
from apps.scheduling.publishers.discord import Discord
from tests.scheduling.conftest import NetworkOf
from tests.scheduling.conftest import Post as DuePost
from tests.scheduling.standin import StandIn
from tests.scheduling.test_publishing import raising

pytestmark = pytest.mark.django_db(transaction=True)

State = Delivery.State
PARTS = [Part(text="Second"), Part(text="Third")]
AccountOn = Callable[[str], SocialAccount]


@pytest.fixture
def thread(network: NetworkOf, account_on: AccountOn) -> Callable[..., list[Delivery]]:
    """`thread("keyed")` is a thread of three parts that is due now, as its deliveries."""

    def make(kind: str, **draft: Any) -> list[Delivery]:
        account = account_on(kind)
        post = services.schedule_post(
            services.Draft(
                persona=account.persona,
                accounts=[account],
                **{
                    "text": "First",
                    "parts": PARTS,
                    "scheduled_at": timezone.now() - timedelta(seconds=1),
                    **draft,
                },
            ),
            by=None,
        )
        return list(post.deliveries.order_by("part"))

    return make


def states(parts: list[Delivery]) -> list[str]:
    return list(
        Delivery.objects.filter(pk__in=[part.pk for part in parts])
        .order_by("part")
        .values_list("state", flat=True)
    )


def test_lists_show_a_thread_as_one_until_its_parts_differ(
    thread: Callable[..., list[Delivery]], as_kei: Client
) -> None:
    parts = thread("keyed", scheduled_at=timezone.now() + timedelta(days=1))

    def shown() -> list[int]:
        page = as_kei.get("/admin/scheduling/post/").content.decode()
        return [page.count(f"Stand-in: {words}") for words in ("Scheduled", "Published")]

    assert shown() == [1, 0]
    Delivery.objects.filter(pk=parts[0].pk).update(state=State.PUBLISHED)
    assert shown() == [1, 1]
    page = as_kei.get(f"/admin/scheduling/post/{parts[0].post_id}/change/").content.decode()
    for words in ("· Stand-in<", "· Stand-in · part 2", "· Stand-in · part 3"):
        assert page.count(words) == 1


def replies(network: StandIn) -> list[tuple[str, str, str]]:
    """What was sent: text, the id it replies to, the root."""
    return [
        (call.text, call.reply_to.id if call.reply_to else "",
         call.reply_to.root if call.reply_to else "")
        for call in network.calls
    ]  # fmt: skip


def settle(rounds: int = 6) -> None:
    for _ in range(rounds):
        publishing.publish()
        recovery.reap()
        recovery.reconcile()


# -- In order -----------------------------------------------------------------------------------


def test_each_part_goes_out_after_the_one_before_and_replies_to_it(
    network: NetworkOf, thread: Callable[..., list[Delivery]]
) -> None:
    parts = thread("keyed", link="https://example.org/", hashtags=["fog"])
    assert [part.after_id for part in parts] == [None, parts[0].pk, parts[1].pk]
    publishing.publish()
    assert states(parts) == [State.PUBLISHED, State.SCHEDULED, State.SCHEDULED]
    publishing.publish()
    publishing.publish()
    assert states(parts) == [State.PUBLISHED] * 3
    keys = [part.key for part in parts]
    assert replies(network("keyed")) == [
        ("First", "", ""),
        ("Second", keys[0], keys[0]),
        ("Third", keys[1], keys[0]),
    ]
    sent = [call.full_text for call in network("keyed").calls]
    assert sent[0] == "First\n\nhttps://example.org/\n\n#fog"
    assert sent[1:] == ["Second", "Third"], "link and hashtags go with the first part"


@pytest.mark.parametrize("kind", ["keyed", "listable"])
@pytest.mark.parametrize("lost", ["First", "Second", "Third"])
def test_a_lost_answer_in_the_middle_is_cleared_up_before_anything_follows(
    network: NetworkOf, thread: Callable[..., list[Delivery]], kind: str, lost: str, settings: Any
) -> None:
    settings.PUBLISHING_SETTLE = timedelta()
    parts = thread(kind)
    silent = [lost]

    def answer(outgoing: Any) -> None:
        if outgoing.text in silent:
            silent.remove(outgoing.text)
            raise Unconfirmed("no answer")

    network(kind).answer = answer
    settle()
    assert states(parts) == [State.PUBLISHED] * 3
    assert [text for _, text, _ in network(kind).there] == ["First", "Second", "Third"]


def test_a_part_that_fails_leaves_what_follows_waiting_and_a_retry_brings_it(
    network: NetworkOf, thread: Callable[..., list[Delivery]], as_kei: Client
) -> None:
    parts = thread("keyed")
    publishing.publish()
    network("keyed").behave = raising(Permanent("It does not like this."))
    settle()
    assert states(parts) == [State.PUBLISHED, State.FAILED, State.SCHEDULED]
    page = as_kei.get(f"/admin/scheduling/delivery/{parts[2].pk}/change/").content.decode()
    assert "It waits for part 2 (Failed)" in page
    assert "After part 2: Failed" in as_kei.get("/admin/scheduling/delivery/").content.decode()
    network("keyed").behave = lambda outgoing: None
    services.retry_delivery(Delivery.objects.get(pk=parts[1].pk), by=None)
    settle()
    assert states(parts) == [State.PUBLISHED] * 3


def test_once_the_first_part_is_out_the_rest_is_never_too_late(
    network: NetworkOf, thread: Callable[..., list[Delivery]]
) -> None:
    parts = thread("keyed", too_late_after=timedelta(minutes=1))
    publishing.publish()
    network("keyed").behave = raising(Temporary("busy", retry_after=0))
    publishing.publish()
    Delivery.objects.filter(state=State.SCHEDULED).update(
        due_at=timezone.now() - timedelta(hours=2)
    )
    network("keyed").behave = lambda outgoing: None
    settle()
    assert states(parts) == [State.PUBLISHED] * 3


def test_cancelling_a_part_cancels_what_follows(
    network: NetworkOf, thread: Callable[..., list[Delivery]]
) -> None:
    parts = thread("keyed")
    publishing.publish()
    services.cancel_delivery(Delivery.objects.get(pk=parts[1].pk), by=None)
    settle()
    assert states(parts) == [State.PUBLISHED, State.CANCELLED, State.CANCELLED]
    assert len(network("keyed").there) == 1


def test_on_a_blind_network_a_person_decides_and_the_address_may_say_what_to_reply_to(
    network: NetworkOf, thread: Callable[..., list[Delivery]]
) -> None:
    parts = thread("blind")
    network("blind").answer = raising(Unconfirmed("no answer"))
    publishing.publish()
    Delivery.objects.filter(state=State.UNCONFIRMED).update(due_at=timezone.now())
    recovery.reconcile()
    assert states(parts) == [State.NEEDS_REVIEW, State.SCHEDULED, State.SCHEDULED]
    network("blind").answer = lambda outgoing: None
    first = Delivery.objects.get(pk=parts[0].pk)
    services.resolve_delivery(first, answer="posted", url="https://example.org/7", by=None)
    settle()
    # The stand-in's addresses say nothing: nobody can reply, and it is said why.
    second = Delivery.objects.get(pk=parts[1].pk)
    assert (second.state, second.error_code) == (State.FAILED, "no_reply_id")


def test_after_a_restore_no_part_goes_out_or_is_looked_for_before_its_turn(
    network: NetworkOf, thread: Callable[..., list[Delivery]]
) -> None:
    parts = thread("listable")
    services.hold_unfinished()
    for part in (parts[2], parts[1], parts[0]):
        services.release_delivery(Delivery.objects.get(pk=part.pk), by=None)
    recovery.reconcile()
    assert states(parts) == [State.SCHEDULED, State.UNCONFIRMED, State.UNCONFIRMED]
    settle()
    assert states(parts) == [State.PUBLISHED] * 3
    assert [text for _, text, _ in network("listable").there] == ["First", "Second", "Third"]


# -- Written ------------------------------------------------------------------------------------


def test_a_thread_is_scheduled_shown_changed_and_shortened(
    api: APIClient, wall: SocialAccount, picture: Media
) -> None:
    body = {
        "persona": str(wall.persona_id),
        "accounts": [str(wall.pk)],
        "text": "First",
        "parts": [{"text": "Second"}, {"text": "", "media": [str(picture.pk)]}],
        "scheduled_at": (timezone.now() + timedelta(hours=1)).isoformat(),
    }
    answer = api.post("/api/v1/posts/", body, format="json").json()
    assert answer["parts"] == [
        {"text": "Second", "media": []},
        {"text": "", "media": [str(picture.pk)]},
    ]
    assert answer["media"] == []
    assert [row["part"] for row in answer["deliveries"]] == [0, 1, 2]
    kept = answer["deliveries"][1]["id"]
    path = f"/api/v1/posts/{answer['id']}/"
    answer = api.patch(path, {"text": "Another first"}, format="json").json()
    assert [row["part"] for row in answer["deliveries"]] == [0, 1, 2]
    answer = api.patch(path, {"parts": [{"text": "Only"}]}, format="json").json()
    assert [(row["part"], row["id"] == kept) for row in answer["deliveries"]] == [
        (0, False), (1, True),
    ]  # fmt: skip
    assert api.patch(path, {"parts": []}, format="json").json()["deliveries"][0]["part"] == 0
    assert Delivery.objects.count() == 1
    check = api.post("/api/v1/posts/check/", body, format="json").json()
    assert (check["ok"], check["accounts"][0]["parts"]) == (True, [6, 0])


def test_each_account_may_have_parts_of_its_own_or_none(
    network: NetworkOf, account_on: AccountOn
) -> None:
    network("keyed")
    one, two = account_on("keyed"), account_on("listable")
    post = services.schedule_post(
        services.Draft(
            persona=one.persona,
            accounts=[one, two],
            text="First",
            parts=PARTS,
            overrides={str(two.pk): {"parts": []}},
            scheduled_at=timezone.now(),
        ),
        by=None,
    )
    assert post.deliveries.filter(account=one).count() == 3
    assert post.deliveries.filter(account=two).count() == 1


def test_what_does_not_fit_names_its_part(due_post: DuePost, account_on: AccountOn) -> None:
    due_post("keyed")
    account = account_on("keyed")

    def refused(*parts: str) -> list[tuple[str, str, str]]:
        draft = services.Draft(
            persona=account.persona,
            accounts=[account],
            text="First",
            parts=[Part(text=text) for text in parts],
            scheduled_at=timezone.now(),
        )
        return services.problems_of(draft)

    assert refused("Second") == []
    [(field, code, words)] = refused("Second", "x" * 301)
    assert (field, code) == ("parts", "text_too_long")
    assert "Part 3: Stand-in takes 300 characters" in words
    assert refused("")[0][1] == "empty"
    assert refused("Second", "Second")[0][1] == "repeated"
    assert refused(*[str(n) for n in range(30)])[0][1] == "too_many"


def test_a_network_without_replies_says_so_when_the_thread_is_written(
    account_on: AccountOn, network: NetworkOf
) -> None:
    network("keyed")
    account = account_on("discord")
    draft = services.Draft(
        persona=account.persona,
        accounts=[account],
        text="First",
        parts=PARTS,
        scheduled_at=timezone.now(),
    )
    assert not Discord.replies
    [(field, code, words)] = services.problems_of(draft)
    assert (field, code) == ("parts", "no_threads")
    assert "Discord takes no threads and no first comment." in words


def test_a_thread_on_the_wall_is_read_as_one(wall: SocialAccount, client: Client) -> None:
    services.schedule_post(
        services.Draft(
            persona=wall.persona, accounts=[wall], text="First", parts=PARTS,
            scheduled_at=timezone.now(),
        ),
        by=None,
    )  # fmt: skip
    settle(3)
    first = WallPost.objects.get(text="First")
    assert set(first.continued_by.values_list("text", flat=True)) == {"Second", "Third"}
    page = client.get("/wall/luna/").content.decode()
    assert page.index("First") < page.index("Second") < page.index("Third")
    assert page.count("<article") == 1
    third = WallPost.objects.get(text="Third")
    answer = client.get(f"/wall/luna/{third.pk}/")
    assert answer["Location"] == f"/wall/luna/{first.pk}/"
    assert "Third" in client.get(answer["Location"]).content.decode()
    assert "Third" in client.get("/wall/luna/feed/").content.decode()
