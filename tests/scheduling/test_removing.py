"""What is unpublished is gone from its network, and a correction never stands beside its error."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.core.errors import Refused
from apps.core.models import Alert, AuditEntry
from apps.personas.models import Persona, Publication
from apps.scheduling import approving, hooking, publishing, removing, services, unpublishing
from apps.scheduling.models import (
    Attempt,
    Delivery,
    Post,
    SocialAccount,
    WallPost,
    WebhookMessage,
)
from apps.scheduling.publishers.base import NeedsReconnect, Permanent, Temporary
from tests.scheduling.conftest import NetworkOf
from tests.scheduling.conftest import Post as DuePost

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def out(due_post: DuePost) -> Callable[..., Delivery]:
    """`out("keyed")` is a delivery that is published there."""

    def make(kind: str = "keyed", **draft: Any) -> Delivery:
        delivery = due_post(kind, **draft)
        publishing.publish([delivery.pk])
        delivery.refresh_from_db()
        assert delivery.state == "published"
        return delivery

    return make


Out = Callable[..., Delivery]


def refuse(error: Exception) -> Callable[[Any], None]:
    def behave(posted: Any) -> None:
        raise error

    return behave


def state_of(delivery: Delivery) -> str:
    return str(Delivery.objects.get(pk=delivery.pk).state)


def again_now() -> None:
    Delivery.objects.filter(state="removing").update(due_at=timezone.now())


# -- Unpublish ----------------------------------------------------------------------------------


def test_a_post_is_removed_and_the_ledger_says_so(out: Out, network: NetworkOf) -> None:
    hooking.add_endpoint(name="Mine", url="https://hook.example/", by=None)
    delivery = out()
    assert Publication.objects.exists()
    unpublishing.unpublish_delivery(delivery, by=None)
    assert state_of(delivery) == "removing"
    removing.remove_due()
    delivery.refresh_from_db()
    assert (delivery.state, network("keyed").there) == ("removed", [])
    assert delivery.removed_at is not None
    assert [each.outcome for each in delivery.attempts.all()] == ["published", "removed"]
    assert not Publication.objects.exists()
    assert AuditEntry.objects.filter(action="unpublish").exists()
    events = WebhookMessage.objects.order_by("created_at").values_list("event", flat=True)
    assert list(events) == ["delivery.published", "delivery.removed"]


def test_a_wall_post_is_gone_from_the_wall(wall: SocialAccount, api: APIClient) -> None:
    post = services.schedule_post(
        services.Draft(
            persona=wall.persona, accounts=[wall], text="Oh", scheduled_at=timezone.now()
        ),
        by=None,
    )
    publishing.publish()
    assert WallPost.objects.exists()
    answer = api.post(f"/api/v1/posts/{post.pk}/unpublish/").json()
    assert answer["deliveries_changed"] == 1
    removing.remove_due()
    assert not WallPost.objects.exists()
    shown = api.get(f"/api/v1/posts/{post.pk}/").json()["deliveries"][0]
    assert (shown["state"], bool(shown["removed_at"])) == ("removed", True)


def test_silence_is_asked_again_and_a_refusal_is_told(
    out: Out, network: NetworkOf, api: APIClient
) -> None:
    delivery = out()
    api.post(f"/api/v1/deliveries/{delivery.pk}/unpublish/")
    network("keyed").removal = refuse(Temporary("Later."))
    removing.remove_due()
    assert removing.remove_due() == {}
    assert state_of(delivery) == "removing"
    again_now()
    network("keyed").removal = refuse(Permanent("Too old."))
    removing.remove_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == ("published", "Too old.")
    assert "Too old." in Alert.objects.get(key=f"not-removed:{delivery.pk}").body


def test_refused_credentials_wait_for_the_account(out: Out, network: NetworkOf) -> None:
    delivery = unpublishing.unpublish_delivery(out(), by=None)
    network("keyed").removal = refuse(NeedsReconnect("Who?"))
    removing.remove_due()
    again_now()
    assert removing.remove_due() == {}
    network("keyed").removal = lambda posted: None
    SocialAccount.objects.update(status="working")
    removing.remove_due()
    assert state_of(delivery) == "removed"


def test_a_worker_that_died_leaves_it_to_the_next(out: Out, network: NetworkOf) -> None:
    delivery = unpublishing.unpublish_delivery(out(), by=None)
    removing._claim()
    assert removing.remove_due() == {}
    Delivery.objects.update(lease_until=timezone.now())
    removing.remove_due()
    assert state_of(delivery) == "removed"
    outcomes = Attempt.objects.order_by("started_at").values_list("outcome", flat=True)
    assert list(outcomes) == ["published", "unconfirmed", "removed"]


def test_where_no_program_may_delete_a_person_says_so(out: Out, as_kei: Client) -> None:
    delivery = out("blind")
    with pytest.raises(Refused, match="delete it there"):
        unpublishing.unpublish_delivery(delivery, by=None)
    page = f"/admin/scheduling/delivery/{delivery.pk}/"
    shown = as_kei.get(f"{page}change/").content.decode()
    assert "Remove from the network" not in shown
    as_kei.post(f"{page}do/mark-removed/")
    assert state_of(delivery) == "removed"
    assert "by hand (kei)" in delivery.attempts.get(outcome="removed").detail


@pytest.mark.parametrize("state", ["scheduled", "failed", "needs_review", "removed", "cancelled"])
def test_only_what_is_out_is_removed(out: Out, state: str) -> None:
    delivery = out()
    Delivery.objects.update(state=state)
    delivery.refresh_from_db()
    for verb in (unpublishing.unpublish_delivery, unpublishing.mark_removed):
        with pytest.raises(Refused, match="Only what is published"):
            verb(delivery, by=None)


def test_what_was_removed_may_be_said_again(out: Out) -> None:
    delivery = unpublishing.unpublish_delivery(out(), by=None)
    draft = services.Draft(
        persona=delivery.account.persona,
        accounts=[delivery.account],
        text="Good morning",
        scheduled_at=timezone.now(),
        allow_duplicate=False,
    )
    assert services.duplicates_of(draft) == []


# -- Correct and repost -------------------------------------------------------------------------


def corrected(delivery: Delivery, text: str = "Good evening", **more: Any) -> Post:
    draft = services.Draft(
        persona=Persona.objects.get(),
        accounts=[delivery.account],
        text=text,
        scheduled_at=timezone.now(),
        **more,
    )
    return unpublishing.correct_and_repost(delivery.post, draft, by=None)


def test_the_correction_goes_out_once_the_error_is_gone(out: Out, network: NetworkOf) -> None:
    delivery = out()
    fresh = corrected(delivery)
    row = fresh.deliveries.get()
    assert (row.state, row.replaces, state_of(delivery)) == ("held", delivery, "removing")
    network("keyed").removal = refuse(Temporary("Later."))
    removing.remove_due()
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Good morning"]
    with pytest.raises(Refused, match="by itself"):
        services.release_delivery(row, by=None)
    network("keyed").removal = lambda posted: None
    again_now()
    removing.remove_due()
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Good evening"]
    assert state_of(row) == "published"


def test_an_error_that_stays_keeps_its_correction_back(out: Out, network: NetworkOf) -> None:
    fresh = corrected(out())
    network("keyed").removal = refuse(Permanent("No."))
    removing.remove_due()
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Good morning"]
    assert fresh.deliveries.get().state == "held"


def test_a_correction_that_needs_approval_removes_nothing_before(
    out: Out, network: NetworkOf
) -> None:
    delivery = out()
    Persona.objects.update(needs_approval=True)
    fresh = corrected(delivery)
    assert (state_of(delivery), fresh.deliveries.get().state) == ("published", "awaiting")
    approving.approve_post(fresh, by=None)
    assert (state_of(delivery), fresh.deliveries.get().state) == ("removing", "held")
    removing.remove_due()
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Good evening"]


def test_a_draft_of_a_correction_handed_in_stays_behind_its_error(
    out: Out, network: NetworkOf
) -> None:
    delivery = out()
    fresh = corrected(delivery, as_draft=True)
    draft = services.Draft(
        persona=Persona.objects.get(),
        accounts=[delivery.account],
        text="Good night",
        scheduled_at=timezone.now(),
        as_draft=False,
    )
    services.change_post(fresh, draft, by=None)
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Good morning"]
    removing.remove_due()
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Good night"]


def test_a_correction_is_refused_where_both_would_stand(
    out: Out, api: APIClient, wall: SocialAccount
) -> None:
    delivery = out("blind")
    given = {
        "persona": str(delivery.account.persona_id),
        "accounts": [str(delivery.account_id)],
        "text": "Better",
        "scheduled_at": (timezone.now() + timedelta(minutes=5)).isoformat(),
    }
    path = f"/api/v1/posts/{delivery.post_id}/correct/"
    assert api.post(path, given, format="json").status_code == 422
    other = {**given, "accounts": [str(wall.pk)]}
    assert api.post(path, other, format="json").status_code == 422
    assert Post.objects.count() == 1
    keyed = out()
    given["accounts"] = [str(keyed.account_id)]
    made = api.post(f"/api/v1/posts/{keyed.post_id}/correct/", given, format="json")
    assert made.status_code == 201
    assert made.json()["deliveries"][0]["replaces"] == str(keyed.pk)


def test_staff_correct_a_post_in_the_composer(
    as_kei: Client, as_sam: Client, out: Out, network: NetworkOf
) -> None:
    delivery = out()
    post = delivery.post
    address = f"/admin/scheduling/post/add/?persona={post.persona_id}&correct={post.pk}"
    page = as_kei.get(f"/admin/scheduling/post/{post.pk}/change/").content.decode()
    assert address.replace("&", "&amp;") in page
    page = as_kei.get(address).content.decode()
    assert "A correction of" in page and "Good morning" in page
    typed = {
        "accounts": [str(delivery.account_id)],
        "text": "Good evening",
        "at": "2030-05-01T09:00",
        "zone": "UTC",
        "too_late": "86400",
        "now": "1",
    }
    assert as_kei.post(address, typed).status_code == 302
    row = Delivery.objects.get(replaces=delivery)
    assert (row.state, state_of(delivery)) == ("held", "removing")
    removing.remove_due()
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Good evening"]
    # Once it is gone there is nothing to correct any more.
    answer = as_kei.post(address, typed)
    assert "Nothing of this post is out" in answer.content.decode()
    assert as_sam.get(address).status_code == 403
    assert as_kei.get(address[:-3] + "000").status_code == 404
