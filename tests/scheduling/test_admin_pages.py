"""Every page of the admin opens for those who may, and for nobody else; hostile text is inert."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core.models import Alert, EventHandling, Lease, User
from apps.personas.models import Fact, Persona
from apps.scheduling import planning, services
from apps.scheduling.models import (
    Attempt,
    Delivery,
    Evergreen,
    Media,
    Post,
    QueueSlot,
    SocialAccount,
)
from apps.scheduling.recurrence import Rule
from tests.conftest import Everyone
from tests.scheduling.test_wall import HOSTILE, a_picture

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def furnished(ada: User, wall: SocialAccount) -> Delivery:
    """A studio with one row of everything, its texts hostile; gives the one delivery."""
    file = a_picture()
    media = services.add_media(file, size=len(file.getvalue()), alt=HOSTILE, by=ada)
    post = services.schedule_post(
        services.Draft(
            persona=wall.persona,
            accounts=[wall],
            text=HOSTILE,
            media=[media],
            scheduled_at=timezone.now() + timedelta(hours=1),
        ),
        by=ada,
    )
    planning.create_series(
        planning.Plan(
            name=HOSTILE[:100],
            draft=services.Draft(
                persona=wall.persona, accounts=[wall], text=HOSTILE, scheduled_at=timezone.now()
            ),
            rule=Rule(
                kind="weekly",
                zone=ZoneInfo("Europe/Lisbon"),
                starts_on=timezone.localdate() + timedelta(days=2),
                weekdays=("mon",),
                count=1,
            ),
        ),
        by=ada,
    )
    QueueSlot.objects.create(account=wall, weekday="mon", at="09:00")
    Evergreen.objects.create(post=post, account=wall, distance=timedelta(days=30), problem=HOSTILE)
    delivery = post.deliveries.get()
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.NEEDS_REVIEW, error=HOSTILE, remote_url="https://example.org/1"
    )
    Attempt.objects.create(delivery=delivery, claim=delivery.pk, detail=HOSTILE)
    Fact.objects.create(persona=wall.persona, text=HOSTILE)
    Persona.objects.filter(pk=wall.persona.pk).update(bio=HOSTILE)
    SocialAccount.objects.filter(pk=wall.pk).update(status_detail=HOSTILE)
    Alert.objects.create(key="k", title=HOSTILE, body=HOSTILE, failures={"mail": HOSTILE})
    EventHandling.objects.create(event="restored", handler="x", error=HOSTILE)
    Lease.objects.create(name="beat", holder=HOSTILE, expires_at=timezone.now())
    return delivery


def pages() -> list[str]:
    return [f"admin:{m._meta.app_label}_{m._meta.model_name}" for m in MODELS]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_opens_for_a_superuser(as_ada: Client, furnished: Delivery, model: type) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined]
    answers = [as_ada.get(reverse(f"{name}_changelist"))]
    answers.append(as_ada.get(reverse(f"{name}_changelist"), {"q": "a", "o": "1"}))
    if admin.site._registry[model].has_add_permission(answers[0].wsgi_request):
        answers.append(as_ada.get(reverse(f"{name}_add")))
    for row in model._default_manager.all()[:1]:  # type: ignore[attr-defined]
        answers.append(as_ada.get(reverse(f"{name}_change", args=[row.pk])))
    for answer in answers:
        assert answer.status_code == 200, answer.wsgi_request.path
        page = answer.content.decode()
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page


def test_the_dashboard_shows_what_waits_and_each_figure_is_a_link(
    as_ada: Client, furnished: Delivery
) -> None:
    page = as_ada.get("/admin/").content.decode()
    assert "/admin/scheduling/delivery/?state__exact=needs_review" in page
    assert f"/admin/scheduling/delivery/{furnished.pk}/change/" in page
    assert "<script>alert(1)" not in page
    for state in Delivery.State.values:
        listed = as_ada.get("/admin/scheduling/delivery/", {"state__exact": state})
        expected = state in {"needs_review", "scheduled"}
        assert listed.context["cl"].result_count == expected


def test_an_empty_studio_says_what_to_do_first(as_ada: Client) -> None:
    page = as_ada.get("/admin/").content.decode()
    assert "Three steps to the first post" in page
    assert "Nothing is scheduled." in page


def test_who_may_not_look_sees_no_row_and_no_line_in_the_sidebar(
    as_sam: Client, furnished: Delivery
) -> None:
    page = as_sam.get("/admin/").content.decode()
    assert "may not look at posts yet" in page
    for name in pages():
        assert reverse(f"{name}_changelist") not in page
        assert as_sam.get(reverse(f"{name}_changelist")).status_code == 403


@pytest.mark.parametrize("verb", ["publish-now", "retry", "hold", "release", "cancel", "decide"])
def test_only_staff_with_the_permission_act_on_a_delivery(
    everyone: Everyone, furnished: Delivery, verb: str
) -> None:
    part = "decide/" if verb == "decide" else f"do/{verb}/"
    path = f"/admin/scheduling/delivery/{furnished.pk}/{part}"
    for role, user in everyone.items():
        client = Client()
        if user is not None:
            client.force_login(user)
        answer = client.post(path, {"answer": "nonsense"})
        if role in {"staff", "superuser"}:
            assert answer["Location"].endswith("/change/"), role
        elif role == "staff without the permission":
            assert answer.status_code == 403
        else:
            assert "/admin/login/" in answer["Location"], role
        assert client.get(path).status_code in {302, 405}
    furnished.refresh_from_db()
    assert furnished.state == Delivery.State.NEEDS_REVIEW


def test_only_staff_with_the_permission_write_test_and_count(
    everyone: Everyone, wall: SocialAccount, furnished: Delivery
) -> None:
    for path in (
        "/admin/scheduling/post/add/",
        f"/admin/scheduling/post/check/{wall.persona_id}/",
        f"/admin/scheduling/post/{furnished.post_id}/cancel/",
        f"/admin/scheduling/post/{furnished.post_id}/change/",
        f"/admin/scheduling/socialaccount/{wall.pk}/test/",
    ):
        for role, user in everyone.items():
            client = Client()
            if user is not None:
                client.force_login(user)
            refused = {"staff without the permission": 403}.get(role, 302)
            if role not in {"staff", "superuser"}:
                assert client.post(path, {}).status_code == refused, (path, role)
    assert Post.objects.count() == 2


def test_times_are_in_the_viewers_zone_with_the_zone_named(
    as_ada: Client, furnished: Delivery
) -> None:
    as_ada.cookies["gator_zone"] = "Asia%2FTokyo"
    assert "JST" in as_ada.get("/admin/scheduling/delivery/").content.decode()
    as_ada.cookies["gator_zone"] = "../../etc/passwd"
    assert "UTC" in as_ada.get("/admin/scheduling/delivery/").content.decode()


def test_staff_cannot_make_themselves_superuser(as_kei: Client, kei: User) -> None:
    kei.user_permissions.add(*Permission.objects.filter(content_type__model="user"))
    page = f"/admin/core/user/{kei.pk}/change/"
    assert as_kei.get(page).status_code == 200
    as_kei.post(page, {"username": "kei", "is_active": "on", "is_staff": "on", "is_superuser": "1"})
    kei.refresh_from_db()
    assert not kei.is_superuser


def test_pictures_are_believed_by_their_content(as_kei: Client, luna: Persona) -> None:
    add = "/admin/scheduling/media/add/"
    lie = SimpleUploadedFile("cat.png", b"<svg onload=alert(1)>", "image/png")
    assert "This is no JPEG" in as_kei.post(add, {"upload": lie}).content.decode()
    assert not Media.objects.exists()
    true = SimpleUploadedFile("x.txt", a_picture("JPEG").read(), "text/plain")
    as_kei.post(add, {"upload": true, "alt": "A green square"})
    media = Media.objects.get()
    assert (media.mime, media.alt) == ("image/jpeg", "A green square")
    assert media.uploaded_by is not None
    assert media.uploaded_by.username == "kei"
