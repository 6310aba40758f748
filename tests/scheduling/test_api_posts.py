"""Posts over HTTP: scheduled, changed, cancelled, and refused with the field and the reason."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import publishing
from apps.scheduling.models import Delivery, Media, Post, SocialAccount
from tests.conftest import ApiOf
from tests.scheduling.conftest import NetworkOf

pytestmark = pytest.mark.django_db

POSTS = "/api/v1/posts/"
NOWHERE = "01890000-0000-7000-8000-000000000000"
AccountOn = Callable[[str], SocialAccount]


@pytest.fixture
def account(network: NetworkOf, account_on: AccountOn) -> SocialAccount:
    network("keyed")
    return account_on("keyed")


@pytest.fixture
def api(api_of: ApiOf, kei: User) -> Any:
    return api_of(kei)


def body(account: SocialAccount, **changes: Any) -> dict[str, Any]:
    return {
        "persona": str(account.persona_id),
        "text": "Good morning",
        "accounts": [str(account.pk)],
        "scheduled_at": (timezone.now() + timedelta(hours=1)).isoformat(),
        "allow_duplicate": True,
    } | changes


def schedule(api: Any, account: SocialAccount, **changes: Any) -> Any:
    return api.post(POSTS, body(account, **changes), format="json")


def reasons(answer: Any, status: int) -> set[tuple[str, str]]:
    assert answer.status_code == status, answer.content
    return {(each["field"], each["code"]) for each in answer.json()["errors"]}


def test_a_scheduled_post_shows_its_deliveries(api: Any, account: SocialAccount) -> None:
    answer = schedule(api, account, hashtags=["#fog"], link="https://example.org/a")
    assert answer.status_code == 201, answer.content
    post = answer.json()
    assert post["hashtags"] == ["fog"] and post["too_late_after"] == "P1DT00H00M00S"
    assert answer["Location"].endswith(f"{post['id']}/")
    [delivery] = post["deliveries"]
    assert {
        name: delivery[name]
        for name in ("account", "network", "state", "published_at", "remote_url", "attempts")
    } == {
        "account": str(account.pk),
        "network": "keyed",
        "state": "scheduled",
        "published_at": None,
        "remote_url": "",
        "attempts": [],
    }
    assert parse_datetime(delivery["scheduled_at"]) == parse_datetime(post["scheduled_at"])
    assert api.get(f"{POSTS}{post['id']}").json() == post
    assert Post.objects.get().created_by is not None


@pytest.mark.django_db(transaction=True)
def test_a_published_post_shows_where_it_is_and_every_attempt(
    api: Any, account: SocialAccount
) -> None:
    post = schedule(api, account, scheduled_at=timezone.now().isoformat()).json()
    publishing.publish([Delivery.objects.get().pk])
    [delivery] = api.get(f"{POSTS}{post['id']}/").json()["deliveries"]
    assert delivery["state"] == "published" and delivery["published_at"]
    assert delivery["remote_url"].startswith("https://example.org/")
    assert [each["outcome"] for each in delivery["attempts"]] == ["published"]


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"scheduled_at": "2020-01-01T00:00:00Z"}, 422, ("scheduled_at", "in_the_past")),
        ({"scheduled_at": "2099-01-01T00:00:00"}, 400, ("scheduled_at", "naive")),
        ({"scheduled_at": "2099-01-01"}, 400, ("scheduled_at", "naive")),
        ({"scheduled_at": 4_000_000_000}, 400, ("scheduled_at", "invalid")),
        ({"scheduled_at": None}, 400, ("scheduled_at", "null")),
        ({"scheduled_at": "9999-12-31T23:59:59-23:00"}, 400, ("scheduled_at", "overflow")),
        ({"scheduled_at": "2999-12-31T23:59:59Z"}, 400, ("scheduled_at", "overflow")),
        ({"scheduled_at": ["now"]}, 400, ("scheduled_at", "invalid")),
        ({"persona": NOWHERE}, 400, ("persona", "unknown")),
        ({"persona": 7}, 400, ("persona", "invalid")),
        ({"persona": {"id": 1}}, 400, ("persona", "invalid")),
        ({"accounts": [NOWHERE]}, 400, ("accounts.0", "unknown")),
        ({"accounts": []}, 400, ("accounts", "empty")),
        ({"accounts": "all"}, 400, ("accounts", "not_a_list")),
        ({"accounts": [None]}, 400, ("accounts.0", "null")),
        ({"accounts": [NOWHERE] * 101}, 400, ("accounts", "max_length")),
        ({"text": 5}, 400, ("text", "not_text")),
        ({"text": None}, 400, ("text", "null")),
        ({"text": ["a"]}, 400, ("text", "not_text")),
        ({"text": "x" * 100_001}, 400, ("text", "max_length")),
        ({"text": ""}, 422, ("text", "empty")),
        ({"text": "x" * 301}, 422, ("text", "text_too_long")),
        ({"link": "javascript:alert(1)"}, 400, ("link", "invalid")),
        ({"link": 5}, 400, ("link", "invalid")),
        ({"hashtags": "fog"}, 400, ("hashtags", "not_a_list")),
        ({"hashtags": ["two words"]}, 400, ("hashtags.0", "invalid")),
        ({"hashtags": [{}]}, 400, ("hashtags.0", "invalid")),
        ({"media": [NOWHERE]}, 400, ("media.0", "unknown")),
        ({"media": {}}, 400, ("media", "not_a_list")),
        ({"too_late_after": "soon"}, 400, ("too_late_after", "invalid")),
        ({"too_late_after": 0}, 422, ("too_late_after", "not_positive")),
        ({"too_late_after": -5}, 422, ("too_late_after", "not_positive")),
        ({"too_late_after": 10**30}, 400, ("too_late_after", "overflow")),
        ({"too_late_after": "P9999999D"}, 400, ("too_late_after", "max_value")),
        ({"overrides": []}, 400, ("overrides", "not_a_dict")),
        ({"overrides": {"x": {"text": "a"}}}, 400, ("overrides.x", "invalid")),
        ({"overrides": {NOWHERE: {"text": "a"}}}, 422, ("overrides", "unknown_account")),
        (
            {"overrides": {NOWHERE: {"txt": "a"}}},
            400,
            (f"overrides.{NOWHERE}.txt", "unknown_field"),
        ),
        ({"overrides": {NOWHERE: "a"}}, 400, (f"overrides.{NOWHERE}", "invalid")),
        ({"caption": "hello"}, 400, ("caption", "unknown_field")),
        ({"id": NOWHERE}, 400, ("id", "unknown_field")),
    ],
)
def test_a_wrong_field_is_named_with_its_reason_and_nothing_is_stored(
    api: Any,
    account: SocialAccount,
    changes: dict[str, Any],
    status: int,
    reason: tuple[str, str],
) -> None:
    assert reason in reasons(schedule(api, account, **changes), status)
    assert not Post.objects.exists() and not Delivery.objects.exists()


@pytest.mark.parametrize("field", ["persona", "accounts", "scheduled_at"])
def test_what_a_post_needs_is_required(api: Any, account: SocialAccount, field: str) -> None:
    wanted = body(account)
    del wanted[field]
    assert reasons(api.post(POSTS, wanted, format="json"), 400) == {(field, "required")}


def test_one_grapheme_too_long_names_network_limit_and_length(
    api: Any, account: SocialAccount
) -> None:
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    assert schedule(api, account, text=family * 300).status_code == 201
    answer = schedule(api, account, text=family * 301)
    assert reasons(answer, 422) == {("text", "text_too_long")}
    assert "300" in answer.json()["detail"] and "301" in answer.json()["detail"]
    assert "Stand-in" in answer.json()["detail"]
    assert Post.objects.count() == 1


def test_another_personas_account_is_refused_by_name(
    api: Any, account: SocialAccount, marlow: Persona
) -> None:
    his = SocialAccount.objects.create(persona=marlow, network="keyed", handle="marlow")
    answer = schedule(api, account, accounts=[str(account.pk), str(his.pk)])
    assert reasons(answer, 422) == {("accounts", "another_persona")}
    assert "marlow on keyed" in answer.json()["detail"]
    assert not Post.objects.exists()


def test_a_check_counts_and_stores_nothing(api: Any, account: SocialAccount) -> None:
    answer = api.post(f"{POSTS}check", body(account, text="x" * 301), format="json")
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["accounts"] == [
        {
            "account": str(account.pk),
            "network": "keyed",
            "length": 301,
            "limit": 300,
            "bytes": 301,
            "byte_limit": None,
            "parts": [],
        }
    ]
    assert answer.json()["problems"][0]["code"] == "text_too_long"
    assert api.post(f"{POSTS}check/", body(account), format="json").json()["ok"] is True
    assert not Post.objects.exists()


def test_patch_changes_what_it_names_and_put_replaces(
    api: Any, account: SocialAccount, account_on: AccountOn
) -> None:
    other = account_on("listable")
    overrides = {str(account.pk): {"text": "Mine"}}
    post = schedule(api, account, hashtags=["fog"], overrides=overrides).json()
    path = f"{POSTS}{post['id']}/"
    patched = api.patch(path, {"text": "Good evening"}, format="json").json()
    assert patched["text"] == "Good evening" and patched["hashtags"] == ["fog"]
    assert patched["deliveries"][0]["override"] == {"text": "Mine"}
    replaced = api.put(path, body(account, accounts=[str(other.pk)]), format="json").json()
    assert replaced["hashtags"] == [] and replaced["text"] == "Good morning"
    assert [each["network"] for each in replaced["deliveries"]] == ["listable"]
    refused = api.patch(path, {"text": "x" * 301}, format="json")
    assert refused.status_code == 422
    assert api.get(path).json() == replaced


@pytest.mark.django_db(transaction=True)
def test_what_is_out_is_neither_changed_nor_deleted(api: Any, account: SocialAccount) -> None:
    post = schedule(api, account, scheduled_at=timezone.now().isoformat()).json()
    publishing.publish([Delivery.objects.get().pk])
    path = f"{POSTS}{post['id']}/"
    for answer in (
        api.patch(
            path,
            {"scheduled_at": (timezone.now() + timedelta(hours=1)).isoformat()},
            format="json",
        ),
        api.delete(path),
        api.post(f"{path}cancel/"),
        api.post(f"{path}publish-now/"),
    ):
        assert reasons(answer, 409) == {("state", "wrong_state")}
    assert "cancel" in api.delete(path).json()["detail"]


def test_a_post_is_cancelled_sent_now_and_deleted(api: Any, account: SocialAccount) -> None:
    first, second = schedule(api, account).json(), schedule(api, account).json()
    sent = api.post(f"{POSTS}{first['id']}/publish-now")
    assert sent.status_code == 200 and sent.json()["deliveries_changed"] == 1
    due = parse_datetime(sent.json()["post"]["deliveries"][0]["due_at"])
    assert due is not None and due <= timezone.now()
    cancelled = api.post(f"{POSTS}{second['id']}/cancel/").json()
    assert cancelled["post"]["deliveries"][0]["state"] == "cancelled"
    assert api.delete(f"{POSTS}{second['id']}").status_code == 204
    assert api.get(f"{POSTS}{second['id']}/").status_code == 404
    assert Post.objects.count() == 1


def test_lists_are_newest_first_filtered_and_paged(
    api: Any, account: SocialAccount, account_on: AccountOn, marlow: Persona
) -> None:
    other = account_on("listable")
    day = timezone.now() + timedelta(days=1)
    ids = [
        schedule(api, each, scheduled_at=(day + timedelta(hours=index)).isoformat()).json()["id"]
        for index, each in enumerate([account, other, account, other, account])
    ]
    api.post(f"{POSTS}{ids[0]}/cancel/")

    def found(query: str) -> list[str]:
        answer = api.get(f"{POSTS}?{query}")
        assert answer.status_code == 200, answer.content
        return [each["id"] for each in answer.json()["results"]]

    assert sorted(found("")) == sorted(ids)
    assert set(found("network=listable")) == {ids[1], ids[3]}
    assert found("state=cancelled") == [ids[0]]
    assert found("state=cancelled&network=listable") == []
    assert found(f"persona={marlow.pk}") == []
    assert len(found(f"persona={account.persona_id}")) == 5
    since = (day + timedelta(hours=3)).isoformat()
    assert set(found(f"scheduled_after={since}")) == {ids[3], ids[4]}
    assert set(found(f"scheduled_before={since.replace('+', '%2B')}")) == set(ids[:3])
    seen, url = [], f"{POSTS}?page_size=2"
    while url:
        page = api.get(url).json()
        assert len(page["results"]) <= 2
        seen += [each["id"] for each in page["results"]]
        url = page["next"]
    assert seen == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stat=failed", "stat"),
        ("state=nothing", "state"),
        ("persona=luna", "persona"),
        ("scheduled_after=2026-01-01T00:00:00", "scheduled_after"),
        ("scheduled_after=%00", "scheduled_after"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("page_size=many", "page_size"),
        ("page_size=" + "9" * 400, "page_size"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(api: Any, query: str, field: str) -> None:
    assert field in {name for name, _ in reasons(api.get(f"{POSTS}?{query}"), 400)}


@pytest.mark.parametrize("cursor", ["x", "cD14", "cD0lMDA=", "bz05OTk5OTk5OTk5", "%00", "🦎"])
def test_a_made_up_cursor_is_not_found(api: Any, cursor: str) -> None:
    assert api.get(POSTS, {"cursor": cursor}).status_code in (200, 404)


def test_a_long_list_takes_as_many_queries_as_a_short_one(
    api: Any,
    account: SocialAccount,
    account_on: AccountOn,
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    both = [str(account.pk), str(account_on("listable").pk)]
    for _ in range(20):
        assert schedule(api, account, accounts=both).status_code == 201
    # Accounts are asked for apart: joined, SQLite would begin with them and read every delivery.
    with django_assert_max_num_queries(9):
        assert len(api.get(POSTS).json()["results"]) == 20
    with django_assert_max_num_queries(8):
        assert len(api.get("/api/v1/deliveries/").json()["results"]) == 40
    with django_assert_max_num_queries(8):
        api.get("/api/v1/accounts/")


def test_scheduling_takes_a_bounded_number_of_queries(
    api: Any, account: SocialAccount, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    with django_assert_max_num_queries(16):
        assert schedule(api, account).status_code == 201


def test_the_first_descriptions_request_names_its_schedules(
    api: Any, wall: SocialAccount, picture: Media
) -> None:
    wanted = {
        "content": "Fog on the river.",
        "platforms": ["wall"],
        "caption": "Good morning, Lisbon.",
        "hashtags": ["#lisbon"],
        "schedule_time": (timezone.now() + timedelta(hours=1)).isoformat(),
    }
    answer = api.post(f"{POSTS}schedule", wanted, format="json")
    assert answer.status_code == 201, answer.content
    [made] = answer.json()["schedules"]
    delivery = Delivery.objects.get(pk=made["schedule_id"])
    assert made["platform"] == "wall" and made["state"] == "scheduled"
    assert delivery.post.text == "Fog on the river.\n\nGood morning, Lisbon."
    assert delivery.post.hashtags == ["lisbon"]
    with_picture = wanted | {"content": str(picture.pk)}
    answer = api.post(f"{POSTS}schedule/", with_picture, format="json")
    post = Post.objects.get(pk=answer.json()["id"])
    assert post.text == "Good morning, Lisbon." and list(post.media.all()) == [picture]


def test_the_first_descriptions_request_is_refused_as_clearly(
    api: Any, wall: SocialAccount, marlow: Persona
) -> None:
    wanted: dict[str, Any] = {
        "content": "Fog",
        "platforms": ["wall", "tiktok"],
        "schedule_time": (timezone.now() + timedelta(hours=1)).isoformat(),
    }
    path = f"{POSTS}schedule/"
    assert reasons(api.post(path, wanted, format="json"), 400) == {("persona", "required")}
    wanted["persona"] = str(wall.persona_id)
    answer = api.post(path, wanted, format="json")
    assert reasons(answer, 400) == {("platforms", "no_account")} and b"tiktok" in answer.content
    wanted |= {"platforms": ["wall"], "content": NOWHERE}
    assert reasons(api.post(path, wanted, format="json"), 400) == {("content", "unknown")}
    assert not Post.objects.exists()


def test_the_browsable_page_shows_a_post(as_kei: Client, wall: SocialAccount) -> None:
    page = as_kei.get(POSTS, HTTP_ACCEPT="text/html")
    assert page.status_code == 200 and page["Content-Type"].startswith("text/html")
