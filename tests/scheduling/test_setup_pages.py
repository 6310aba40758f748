"""Every network has a page that says what it demands, and what of it is missing here."""

from typing import Any

import httpx
import pytest
from django.test import Client
from pytest_django import Settings

from apps.personas.models import Persona
from apps.scheduling import connecting
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.connecting import Connecting
from tests.scheduling.publishers.network import Network, ok

pytestmark = pytest.mark.django_db
LIST = "/admin/scheduling/socialaccount/"
SIGN_IN = {"x", "linkedin", "instagram", "facebook", "threads", "tiktok", "mastodon"}
NETWORKS = sorted(publishers)


def page_of(client: Client, network: str, **query: str) -> str:
    answer = client.get(f"{LIST}setup/{network}/", query)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("network", NETWORKS)
def test_a_page_says_what_the_network_demands_and_where_it_was_tried(
    as_kei: Client, luna: Persona, network: str
) -> None:
    page = page_of(as_kei, network, persona=str(luna.pk))
    publisher = publishers[network]
    assert publisher.setup.tried or "never tried against the live service" in page
    assert all(step for step in publisher.setup.steps)
    address = f"http://localhost:8000{LIST}connect/{network}/back/"
    assert (address in page) == (network in SIGN_IN)
    assert (f"Sign in with {publisher.label}" in page) == (network in SIGN_IN)
    if isinstance(publisher, Connecting):
        assert publisher.setup.rights == (*publisher.scopes, *publisher.extra_scopes)
        for name in connecting.setting_names(network):
            assert name in page


def test_the_choice_of_networks_leads_to_their_pages(as_kei: Client, luna: Persona) -> None:
    page = as_kei.get(f"{LIST}add/?persona={luna.pk}").content.decode()
    for network in NETWORKS:
        by_hand = network == "wall"
        assert (f"?network={network}&" in page) == by_hand
        assert (f"{LIST}setup/{network}/?persona={luna.pk}" in page) != by_hand


def test_what_is_missing_is_named_and_nobody_is_sent_out_without_it(
    as_kei: Client, luna: Persona, settings: Settings
) -> None:
    page = page_of(as_kei, "instagram")
    assert "INSTAGRAM_CLIENT_ID is not set." in page
    assert "INSTAGRAM_CLIENT_SECRET is not set." in page
    assert "GATOR_PUBLIC_URL is http://localhost:8000" in page
    form = {"persona": str(luna.pk)}
    refused = as_kei.post(f"{LIST}connect/instagram/", form, follow=True).content.decode()
    assert "Instagram is not set up" in refused
    settings.GATOR_PUBLIC_URL = "https://studio.example"
    settings.NETWORK_CLIENTS = {"instagram": {"id": "1", "secret": "hush-hush"}}
    page = page_of(as_kei, "instagram")
    assert "Missing:" not in page
    assert "hush-hush" not in page


def test_a_network_that_knows_public_clients_needs_no_secret(
    as_kei: Client, settings: Settings
) -> None:
    settings.NETWORK_CLIENTS = {"x": {"id": "1", "secret": ""}}
    page = page_of(as_kei, "x")
    assert "Missing:" not in page
    assert "X_CLIENT_SECRET is not set" in page


@pytest.mark.parametrize(
    ("answer", "said"),
    [(ok({}), "X answers."), (httpx.ConnectError("no route"), "could not be reached")],
)
def test_check_asks_the_network_whether_it_answers(
    as_kei: Client, settings: Settings, answer: Any, said: str
) -> None:
    there = Network({"GET /": answer})
    backend = {
        "BACKEND": "apps.scheduling.publishers.x.X",
        "OPTIONS": {"transport": there.transport},
    }
    settings.PUBLISHERS = {**settings.PUBLISHERS, "x": backend}
    assert said not in page_of(as_kei, "x")
    assert not there.asked
    assert said in as_kei.post(f"{LIST}setup/x/").content.decode()
    assert len(there.asked) == 1


def test_there_is_no_page_of_an_unknown_network(as_kei: Client) -> None:
    assert as_kei.get(f"{LIST}setup/nothing/").status_code == 404


def test_the_api_says_it_as_well(as_kei: Client) -> None:
    found = {each["name"]: each for each in as_kei.get("/api/v1/networks/").json()}
    assert {name for name in found if found[name]["signs_in"]} == SIGN_IN
    setup = found["threads"]["setup"]
    assert "threads_manage_insights" in setup["rights"]
    assert setup["https"] and setup["steps"] and setup["tried"] == ""
    assert found["bluesky"]["setup"]["tried"]
