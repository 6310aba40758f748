"""Holding and releasing personas: in the admin and from the shell, by those who may."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.core.models import AuditEntry, User
from apps.personas import services
from apps.personas.models import Hold, Persona
from tests.conftest import Everyone

pytestmark = pytest.mark.django_db


def test_only_those_who_may_change_holds_can_stop_everything(everyone: Everyone) -> None:
    answers = {}
    for role, user in everyone.items():
        client = Client()
        if user is not None:
            client.force_login(user)
        answers[role] = client.post("/admin/personas/persona/stop/", {"reason": role}).status_code
        stopped = Hold.objects.everything().exists()
        assert stopped is (role in {"staff", "superuser"}), role
        Hold.objects.all().delete()
    assert answers["staff without the permission"] == 403


def test_a_stop_is_loud_on_every_page_and_ends_with_one_button(
    as_kei: Client, kei: User, luna: Persona
) -> None:
    as_kei.post("/admin/personas/persona/stop/", {"reason": "A rumour <b>"})
    for path in ("/admin/", "/admin/scheduling/post/", "/admin/personas/persona/"):
        page = as_kei.get(path).content.decode()
        assert "Everything is stopped" in page
        assert "A rumour &lt;b&gt;" in page
    as_kei.post("/admin/personas/persona/go-on/")
    assert not Hold.objects.exists()
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["release", "hold"]


def test_a_stop_needs_a_post_request(as_kei: Client) -> None:
    assert as_kei.get("/admin/personas/persona/stop/").status_code == 405
    assert not Hold.objects.exists()


def test_the_way_back_never_leaves_the_studio(as_kei: Client) -> None:
    answer = as_kei.post("/admin/personas/persona/stop/", {"next": "https://evil.example/"})
    assert answer["Location"] == "/admin/"


def test_one_persona_is_held_and_released_on_its_page(as_kei: Client, luna: Persona) -> None:
    page = f"/admin/personas/persona/{luna.pk}/"
    as_kei.post(f"{page}hold/", {"reason": "Waiting"})
    assert Hold.objects.get().persona == luna
    assert "Luna is held" in as_kei.get(f"{page}change/").content.decode()
    as_kei.post(f"{page}release/")
    assert not Hold.objects.exists()


def test_holding_several_asks_why_and_names_who_was_held_already(
    as_kei: Client, luna: Persona, marlow: Persona, kei: User
) -> None:
    services.hold(persona=luna, reason="First", by=kei)
    chosen = {"action": "hold_selected", "_selected_action": [luna.pk, marlow.pk]}
    asked = as_kei.post("/admin/personas/persona/", chosen)
    assert "Why?" in asked.content.decode()
    assert Hold.objects.count() == 1
    done = as_kei.post("/admin/personas/persona/", {**chosen, "reason": "Later"}, follow=True)
    assert "Luna was held already." in done.content.decode()
    assert Hold.objects.get(persona=marlow).reason == "Later"


def test_the_shell_holds_and_releases(luna: Persona) -> None:
    said = StringIO()
    call_command("hold", "luna", "--reason", "Quiet", stdout=said)
    call_command("hold", stdout=said)
    assert Hold.objects.count() == 2
    call_command("release", "@luna", stdout=said)
    call_command("release", stdout=said)
    call_command("release", stdout=said)
    assert not Hold.objects.exists()
    assert said.getvalue().splitlines() == [
        "Luna is held: Quiet",
        "Everything is held: Held from the shell",
        "Luna may speak again.",
        "The studio may speak again.",
        "The studio was not held.",
    ]
    with pytest.raises(CommandError, match="there are: luna"):
        call_command("hold", "lana")
