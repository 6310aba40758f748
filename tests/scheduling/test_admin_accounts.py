"""Accounts in the studio: what is stored goes in and never comes out."""

import pytest
from django.test import Client
from pytest_django import Settings

from apps.core.models import AuditEntry
from apps.personas.models import Persona
from apps.scheduling.models import SocialAccount
from apps.scheduling.publishers.base import CredentialField, NeedsReconnect
from tests.scheduling.standin import StandIn

pytestmark = pytest.mark.django_db
SECRET = "s3cret-of-luna"
LIST = "/admin/scheduling/socialaccount/"


class Locked(StandIn):
    """A stand-in that lets nobody in without its password."""

    label = "Locked"
    needs_server = True
    credential_fields = (
        CredentialField(name="password", label="App password"),
        CredentialField(name="device", label="Device", secret=False, required=False),
    )

    def test(self, account):  # type: ignore[no-untyped-def]
        if account.credentials.get("password") != SECRET:
            raise NeedsReconnect("Wrong password.")
        return super().test(account)


@pytest.fixture(autouse=True)
def locked(settings: Settings) -> None:
    settings.PUBLISHERS = {
        **settings.PUBLISHERS,
        "locked": {"BACKEND": "tests.scheduling.test_admin_accounts.Locked"},
    }


def form(luna: Persona, **changes: str) -> dict[str, str]:
    return {
        "persona": str(luna.pk),
        "handle": "luna",
        "server": "https://one.example",
        "credential_password": SECRET,
        "disclosure": "profile",
        "ai_label": "Made with AI",
        **changes,
    }


@pytest.fixture
def connected(as_kei: Client, luna: Persona) -> SocialAccount:
    as_kei.post(f"{LIST}add/?network=locked", form(luna))
    return SocialAccount.objects.get()


def test_an_account_is_connected_tested_and_its_secret_sealed(connected: SocialAccount) -> None:
    assert connected.status == SocialAccount.Status.WORKING
    assert connected.credentials.open() == {"password": SECRET}
    assert SECRET not in connected.credentials.stored


def test_no_page_and_no_trail_ever_shows_the_secret(
    as_kei: Client, as_ada: Client, connected: SocialAccount
) -> None:
    change = f"{LIST}{connected.pk}/change/"
    pages = [
        as_kei.get(change),
        as_kei.get(LIST),
        as_kei.post(change, form(connected.persona, handle="")),
        as_kei.post(f"{LIST}{connected.pk}/test/", follow=True),
        as_ada.get("/admin/core/auditentry/"),
        as_ada.get(f"{LIST}{connected.pk}/history/"),
        as_ada.get("/admin/"),
    ]
    for page in pages:
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
        assert connected.credentials.stored not in page.content.decode()
    assert SECRET not in str(list(AuditEntry.objects.values()))


def test_an_empty_field_keeps_what_is_stored(as_kei: Client, connected: SocialAccount) -> None:
    data = form(connected.persona, credential_password="", status="working", handle="luna2")
    assert as_kei.post(f"{LIST}{connected.pk}/change/", data).status_code == 302
    connected.refresh_from_db()
    assert connected.handle == "luna2"
    assert connected.credentials.open() == {"password": SECRET}


def test_a_new_secret_replaces_one_field_and_is_audited(
    as_kei: Client, connected: SocialAccount
) -> None:
    data = form(connected.persona, credential_password="", credential_device="d", status="working")
    as_kei.post(f"{LIST}{connected.pk}/change/", data)
    connected.refresh_from_db()
    assert connected.credentials.open() == {"password": SECRET, "device": "d"}
    assert AuditEntry.objects.filter(action="change credentials", actor_name="kei").count() == 2


def test_a_stored_secret_is_never_sent_to_another_server(
    as_kei: Client, connected: SocialAccount
) -> None:
    data = form(connected.persona, credential_password="", server="https://evil.example")
    page = as_kei.post(f"{LIST}{connected.pk}/change/", {**data, "status": "working"})
    assert "needs its credentials anew" in page.content.decode()
    connected.refresh_from_db()
    assert connected.server == "https://one.example"


def test_what_a_network_needs_is_asked_for(as_kei: Client, luna: Persona) -> None:
    page = as_kei.post(f"{LIST}add/?network=locked", form(luna, credential_password="", server=""))
    assert set(page.context["adminform"].form.errors) == {"credential_password", "server"}
    assert not SocialAccount.objects.exists()


def test_a_refused_test_says_so_and_asks_to_reconnect(
    as_kei: Client, connected: SocialAccount
) -> None:
    data = form(connected.persona, credential_password="wrong", status="working")
    as_kei.post(f"{LIST}{connected.pk}/change/", data)
    page = as_kei.post(f"{LIST}{connected.pk}/test/", follow=True).content.decode()
    assert "Wrong password." in page
    assert "Reconnect" in page


def test_an_unknown_network_leads_back_to_the_choice(as_kei: Client) -> None:
    page = as_kei.get(f"{LIST}add/?network=nothing").content.decode()
    assert "On which network" in page
    assert "Locked" in page
