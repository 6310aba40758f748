"""The studio's first page as staff read it in the morning, over all apps."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from apps.backups.models import BackupRun
from apps.chat.models import Conversation
from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import services as scheduling
from apps.scheduling.models import Delivery, SocialAccount
from apps.sentiment import services
from apps.sentiment.services import Written
from gator.navigation import sidebar

pytestmark = pytest.mark.django_db


@pytest.fixture
def night(luna: Persona) -> dict[str, str]:
    """What happened since yesterday, with the page of each part."""
    fallen_silent = Conversation.objects.create(
        kind=Conversation.Kind.PERSONA, persona=luna, stopped_for="distress"
    )
    Conversation.objects.create(kind=Conversation.Kind.PERSONA, persona=luna)
    now = timezone.now()
    loved = Written(network="wall", remote_id="1", text="I love it, thank you!", written_at=now)
    services.read_now(persona=luna, comments=[loved])
    older = BackupRun(name="backup_20261129_023000", proven_at=None)
    proven = BackupRun(name="backup_20261128_023000", proven_at=now)
    for run in (older, proven):
        run.state, run.verified_at = BackupRun.State.DONE, now
        run.save()
    return {
        "chat": reverse("admin:chat_conversation_change", args=[fallen_silent.pk]),
        "mood": reverse("admin:sentiment_reading_mood_of", args=[luna.pk]),
        "backup": reverse("admin:backups_backuprun_change", args=[proven.pk]),
    }


def test_who_asks_for_a_person_how_people_felt_and_what_is_proven(
    as_ada: Client, night: dict[str, str]
) -> None:
    shown = as_ada.get("/admin/")
    page = shown.content.decode()
    for address in night.values():
        assert address in page
    assert len(shown.context["conversations"]) == 1
    [mood] = shown.context["moods"]
    assert mood["comments"] == 1 and "positive" in mood["mood"]
    assert shown.context["backup"]["run"].name == "backup_20261128_023000"


def test_a_quiet_studio_says_what_to_do(as_ada: Client) -> None:
    page = as_ada.get("/admin/").content.decode()
    assert "Ask for a person" not in page
    assert "No comments yet." in page
    assert "Make one and drill it" in page


def test_who_may_not_look_sees_none_of_it(as_sam: Client, night: dict[str, str]) -> None:
    page = as_sam.get("/admin/").content.decode()
    for address in night.values():
        assert address not in page


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/admin/", "Today"),
        ("/admin/scheduling/post/", "Posts"),
        ("/admin/scheduling/post/add/", "Posts"),
        ("/admin/scheduling/post/calendar/", "Calendar"),
        ("/admin/sentiment/reading/", "Readings"),
        ("/admin/sentiment/reading/mood/", "Moods"),
        ("/admin/sentiment/reading/try/", "Try a text"),
        ("/admin/sentiment/comment/import/", "Comments"),
    ],
)
def test_the_sidebar_shows_where_one_is(rf: RequestFactory, path: str, title: str) -> None:
    request = rf.get(path)
    request.user = AnonymousUser()
    groups = sidebar(request)
    lines = [line for group in groups for line in group["items"]]
    assert [line["title"] for line in lines if line["active"]] == [title]
    # Folded is what one is not at; the day begins with what goes out.
    unfolded = [group for group in groups if group.get("open")]
    begins = "Calendar" if title == "Today" else title
    assert [begins in {line["title"] for line in group["items"]} for group in unfolded] == [True]


def test_what_only_a_person_can_settle_is_seen_in_a_folded_group(
    rf: RequestFactory, kei: User, wall: SocialAccount
) -> None:
    draft = scheduling.Draft(
        persona=wall.persona, accounts=[wall], text="Fog", scheduled_at=timezone.now()
    )
    post = scheduling.schedule_post(draft, by=None)
    post.deliveries.update(state=Delivery.State.NEEDS_REVIEW)
    request = rf.get("/admin/sentiment/comment/")
    request.user = kei
    [publishing] = [group for group in sidebar(request) if group["title"] == "Publishing"]
    assert (publishing["badge"], publishing["open"]) == ("1", False)
