"""Accounts are connected by signing in at the network: once, by whom it was begun, or not."""

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.core.fields import Sealed
from apps.core.models import AuditEntry, User
from apps.personas.models import Persona
from apps.scheduling import health
from apps.scheduling.accounts import renewer
from apps.scheduling.models import SignIn, SocialAccount
from tests.conftest import Everyone
from tests.scheduling.publishers.network import Answer, Network, ok, refusal

pytestmark = pytest.mark.django_db
TOKEN = "POST /2/oauth2/token"
LIST = "/admin/scheduling/socialaccount/"
CODE, ACCESS, REFRESH, HUSH = "code-of-luna", "access-of-luna", "refresh-of-luna", "hush-hush"
PUBLISHERS = "apps.scheduling.publishers"
BACKENDS = {
    "x": "x.X",
    "linkedin": "linkedin.LinkedIn",
    "tiktok": "tiktok.TikTok",
    "threads": "threads.Threads",
    "instagram": "instagram.Instagram",
    "facebook": "facebook.Facebook",
    "mastodon": "mastodon.Mastodon",
}
X_SCOPES = "tweet.read tweet.write users.read media.write offline.access"
TOKENS = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 7_200}
BRIEF = {"access_token": "brief", "user_id": 7}
LONG = {"access_token": ACCESS, "expires_in": 5_184_000}
PAGES = ("pages_show_list", "pages_manage_posts", "pages_read_engagement")
RIGHTS = [{"permission": each, "status": "granted"} for each in PAGES]


def page_of(number: str, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "name": name, "access_token": f"page-{number}", **more}


# What each network answers, in order of its calls, when everything goes well.
WELL: dict[str, dict[str, Any]] = {
    "x": {
        "POST /2/oauth2/token": {**TOKENS, "scope": X_SCOPES},
        "GET /2/users/me": {"data": {"id": "7", "username": "luna"}},
    },
    "linkedin": {
        "POST /oauth/v2/accessToken": {
            **TOKENS,
            "scope": "openid,profile,w_member_social",
            "refresh_token_expires_in": 31_536_000,
        },
        "GET /v2/userinfo": {"sub": "7", "name": "luna"},
    },
    "tiktok": {
        "POST /v2/oauth/token/": {**TOKENS, "scope": "user.info.basic,video.publish"},
        "POST /v2/post/publish/creator_info/query/": {
            "data": {"creator_username": "luna"},
            "error": {"code": "ok"},
        },
    },
    "threads": {
        "POST /oauth/access_token": BRIEF,
        "GET /access_token": LONG,
        "GET /v1.0/me": {"id": "7", "username": "luna"},
    },
    "instagram": {
        "POST /oauth/access_token": {
            "data": [
                {
                    **BRIEF,
                    "permissions": "instagram_business_basic,instagram_business_content_publish",
                }
            ]
        },
        "GET /access_token": LONG,
        "GET /v23.0/me": {"user_id": "7", "username": "luna"},
    },
    "facebook": {
        "POST /v23.0/oauth/access_token": {"access_token": "person", "expires_in": 3_600},
        "GET /v23.0/me/permissions": {"data": RIGHTS},
        "GET /v23.0/me/accounts": {"data": [page_of("7", "luna")]},
    },
    "mastodon": {
        "POST /api/v1/apps": {"client_id": "made-client", "client_secret": HUSH},
        "POST /oauth/token": {
            "access_token": ACCESS,
            "scope": "read:accounts read:statuses write:media write:statuses",
        },
        "GET /api/v1/accounts/verify_credentials": {"id": "7", "username": "luna"},
        "GET /api/v2/instance": {"domain": "town.example"},
    },
}


@pytest.fixture(autouse=True)
def studio(settings: Settings) -> None:
    """The studio as networks know it: at a public address, with an app at each of them."""
    settings.GATOR_PUBLIC_URL = "https://testserver"
    settings.NETWORK_CLIENTS = {name: {"id": "client", "secret": HUSH} for name in BACKENDS}


NetworkWith = Callable[..., Network]


@pytest.fixture
def network(settings: Settings) -> NetworkWith:
    """`network("x", **{"GET /path": answer})` is that network, answering well but for that."""

    def made(name: str, **changes: Answer) -> Network:
        well: dict[str, Any] = {path: ok(answer) for path, answer in WELL[name].items()}
        there = Network({**well, **changes})
        backend = {
            "BACKEND": f"{PUBLISHERS}.{BACKENDS[name]}",
            "OPTIONS": {"transport": there.transport},
        }
        settings.PUBLISHERS = {**settings.PUBLISHERS, name: backend}
        return there

    return made


def begin(client: Client, name: str, **form: str) -> dict[str, str]:
    """Press “Sign in”; gives the query of the page that the link leads to."""
    if name == "mastodon":
        form.setdefault("server", "town.example")
    page = client.post(f"{LIST}connect/{name}/", form)
    assert page.status_code == 200, page.headers.get("Location")
    query = parse_qs(urlsplit(page.context["address"]).query, strict_parsing=True)
    return {key: value for key, (value,) in query.items()}


def back(client: Client, name: str, **query: str) -> Any:
    return client.get(f"{LIST}connect/{name}/back/", query, follow=True)


def words(page: Any) -> str:
    return str(page.content.decode())


def sign_in(client: Client, name: str, **form: str) -> Any:
    asked = begin(client, name, **form)
    return back(client, name, state=asked["state"], code=CODE)


# -- It works -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WELL)
def test_an_account_is_connected_by_signing_in(
    as_kei: Client, luna: Persona, network: NetworkWith, name: str
) -> None:
    there = network(name)
    page = sign_in(as_kei, name, persona=str(luna.pk))
    account = SocialAccount.objects.get()
    assert page.redirect_chain == [(f"{LIST}{account.pk}/change/", 302)]
    assert (account.persona, account.network) == (luna, name)
    assert account.handle.lstrip("@").startswith("luna")
    assert account.status == SocialAccount.Status.WORKING
    assert account.facts["remote_id"] or name == "tiktok"
    kept = account.credentials.open()
    assert kept["access_token"] == ("page-7" if name == "facebook" else ACCESS)
    assert HUSH not in str(kept)
    if name in ("x", "linkedin", "tiktok"):
        assert kept["refresh_token"] == REFRESH
        assert kept["expires_at"]
    if name in ("threads", "instagram"):
        assert account.access_ends_at is not None
        assert account.access_ends_at > timezone.now() + timedelta(days=59)
    assert [each.url.path for each in there.asked] == [
        path.partition(" ")[2]
        for path in WELL[name]
        for _ in range(2 if name == "facebook" and path.startswith("POST") else 1)
    ]
    assert AuditEntry.objects.get(action="connect account").actor_name == "kei"


@pytest.mark.parametrize("name", WELL)
def test_the_network_is_asked_as_it_documents(
    as_kei: Client, luna: Persona, network: NetworkWith, name: str
) -> None:
    there = network(name)
    asked = begin(as_kei, name, persona=str(luna.pk))
    client = "made-client" if name == "mastodon" else "client"
    redirect = f"https://testserver{LIST}connect/{name}/back/"
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == redirect
    assert asked["client_key" if name == "tiktok" else "client_id"] == client
    back(as_kei, name, state=asked["state"], code=CODE)
    exchange = next(each for each in there.asked if "oken" in each.url.path)
    form = {key: value for key, (value,) in parse_qs(exchange.content.decode()).items()}
    assert form["grant_type"] == "authorization_code"
    assert (form["code"], form["redirect_uri"]) == (CODE, redirect)
    if name == "x":
        assert exchange.headers["authorization"].startswith("Basic ")
    else:
        assert form["client_secret"] == HUSH
    if name in ("x", "mastodon"):
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assert asked["code_challenge_method"] == "S256"
    else:
        assert "code_verifier" not in form


def test_the_right_page_is_chosen_among_several(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    pages = [page_of("7", "luna"), page_of("8", "moon"), page_of("9", "no", tasks=["ANALYZE"])]
    network("facebook", **{"GET /v23.0/me/accounts": ok({"data": pages})})
    page = sign_in(as_kei, "facebook", persona=str(luna.pk))
    choice = page.redirect_chain[-1][0]
    assert [each.handle for each in page.context["found"]] == ["luna", "moon"]
    assert "page-8" not in words(page)
    again = as_kei.post(choice, {"number": "5"}, follow=True)
    assert "Choose one" in words(again)
    as_kei.post(choice, {"number": "1"})
    account = SocialAccount.objects.get()
    assert account.handle == "moon"
    assert account.credentials.open() == {"access_token": "page-8"}
    assert not SignIn.objects.get().held
    assert "used already" in words(as_kei.post(choice, {"number": "0"}, follow=True))


def test_all_pages_of_a_long_list_are_offered(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    first = {
        "data": [page_of("7", "luna")],
        "paging": {"next": "https://graph.facebook.com/x", "cursors": {"after": "more"}},
    }
    lists: list[Any] = [ok(first), ok({"data": [page_of("8", "moon")]})]
    network("facebook", **{"GET /v23.0/me/accounts": lists})
    page = sign_in(as_kei, "facebook", persona=str(luna.pk))
    assert [each.handle for each in page.context["found"]] == ["luna", "moon"]


# -- Connected again ----------------------------------------------------------------------------


MINE = {"access_token": "ended", "client_id": "mine", "client_secret": "own"}


@pytest.fixture
def lapsed(luna: Persona) -> SocialAccount:
    """Luna's account on X, which the network no longer accepts."""
    account = SocialAccount.objects.create(
        persona=luna,
        network="x",
        handle="@luna",
        status=SocialAccount.Status.RECONNECT,
        credentials=Sealed.of(MINE),  # type: ignore[misc]
        facts={"remote_id": "7"},
        wait_until=timezone.now() + timedelta(hours=1),
    )
    account.refresh_from_db()
    return account


def test_an_account_is_connected_again_and_its_posts_go_on(
    as_kei: Client, lapsed: SocialAccount, network: NetworkWith
) -> None:
    network("x")
    change = as_kei.get(f"{LIST}{lapsed.pk}/change/")
    assert "Sign in again" in words(change)
    sign_in(as_kei, "x", account=str(lapsed.pk))
    lapsed.refresh_from_db()
    assert lapsed.status == SocialAccount.Status.WORKING
    assert lapsed.wait_until is None
    kept = lapsed.credentials.open()
    assert (kept["access_token"], kept["client_id"]) == (ACCESS, "client")
    assert "client_secret" not in kept


def test_signing_in_to_another_account_than_the_one_meant_changes_nothing(
    as_kei: Client, lapsed: SocialAccount, network: NetworkWith
) -> None:
    network("x", **{"GET /2/users/me": ok({"data": {"id": "8", "username": "moon"}})})
    page = sign_in(as_kei, "x", account=str(lapsed.pk))
    assert "You signed in as @moon, but this account is @luna" in words(page)
    lapsed.refresh_from_db()
    assert lapsed.credentials.open()["access_token"] == "ended"
    assert SocialAccount.objects.count() == 1


def test_a_new_sign_in_to_a_known_account_connects_that_one_again(
    as_kei: Client, lapsed: SocialAccount, network: NetworkWith
) -> None:
    network("x")
    sign_in(as_kei, "x", persona=str(lapsed.persona_id))
    assert SocialAccount.objects.get().status == SocialAccount.Status.WORKING


def test_another_personas_account_is_not_taken_over(
    as_kei: Client, lapsed: SocialAccount, marlow: Persona, network: NetworkWith
) -> None:
    network("x")
    page = sign_in(as_kei, "x", persona=str(marlow.pk))
    assert "connected already, as an account of Luna" in words(page)
    lapsed.refresh_from_db()
    assert lapsed.credentials.open()["access_token"] == "ended"


def test_what_a_person_paused_stays_paused(
    as_kei: Client, lapsed: SocialAccount, network: NetworkWith
) -> None:
    SocialAccount.objects.update(status=SocialAccount.Status.PAUSED)
    network("x")
    assert "still paused" in words(sign_in(as_kei, "x", account=str(lapsed.pk)))
    lapsed.refresh_from_db()
    assert lapsed.status == SocialAccount.Status.PAUSED


def test_who_sees_tiktoks_posts_is_kept(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    network("tiktok")
    account = SocialAccount.objects.create(
        persona=luna,
        network="tiktok",
        handle="luna",
        credentials=Sealed.of({"privacy": "SELF_ONLY"}),  # type: ignore[misc]
    )
    sign_in(as_kei, "tiktok", account=str(account.pk))
    account.refresh_from_db()
    assert account.credentials.open()["privacy"] == "SELF_ONLY"


@pytest.mark.parametrize("name", ["x", "linkedin", "tiktok"])
def test_tokens_of_a_sign_in_renew_with_the_studios_own_app(
    as_kei: Client, luna: Persona, network: NetworkWith, name: str
) -> None:
    there = network(name)
    sign_in(as_kei, name, persona=str(luna.pk))
    whoami = next(path for path in reversed(WELL[name]) if "oken" not in path)
    refused: Any = [refusal(401, {"error": "expired"}), ok(WELL[name][whoami])]
    there.answers[whoami] = refused
    account = health.test(SocialAccount.objects.get())
    assert account.status == SocialAccount.Status.WORKING
    renewal = next(each for each in there.asked if b"grant_type=refresh_token" in each.content)
    if name == "x":
        assert renewal.headers["authorization"].startswith("Basic ")
    else:
        assert HUSH in renewal.content.decode()


def test_a_token_is_renewed_before_it_ends(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    there = network("x", **{TOKEN: [ok({**TOKENS, "expires_in": 30}), ok({**TOKENS})]})
    sign_in(as_kei, "x", persona=str(luna.pk))
    assert health.test(SocialAccount.objects.get()).status == SocialAccount.Status.WORKING
    asked = [each.url.path for each in there.asked[-2:]]
    assert asked == ["/2/oauth2/token", "/2/users/me"]


def test_a_renewed_token_without_an_end_is_not_renewed_for_every_call(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    there = network(
        "x", **{TOKEN: [ok({**TOKENS, "expires_in": 30}), ok({"access_token": ACCESS})]}
    )
    sign_in(as_kei, "x", persona=str(luna.pk))
    for _ in range(2):
        health.test(SocialAccount.objects.get())
    asked = [each.url.path for each in there.asked[-3:]]
    assert asked == ["/2/oauth2/token", "/2/users/me", "/2/users/me"]


def test_a_renewal_under_way_never_overwrites_a_new_connection(
    as_kei: Client, lapsed: SocialAccount, network: NetworkWith
) -> None:
    network("x")

    def slow(seen: Any) -> Any:
        sign_in(as_kei, "x", account=str(lapsed.pk))
        return {**seen, "access_token": "of the old refresh token"}

    kept = renewer(lapsed.pk)(lapsed.credentials.open(), slow)
    lapsed.refresh_from_db()
    assert kept["access_token"] == lapsed.credentials.open()["access_token"] == ACCESS


# -- It does not work ---------------------------------------------------------------------------

FAILURES: dict[str, tuple[Answer, str]] = {
    "code refused": (
        refusal(400, {"error": "invalid_grant", "error_description": f"bad {CODE} and {HUSH}"}),
        "refused",
    ),
    "client refused": (refusal(401, {"error": "unauthorized_client"}), "refused"),
    "scope missing": (
        ok({**TOKENS, "scope": "tweet.read users.read"}),
        "did not grant tweet.write",
    ),
    "network down": (httpx.ConnectError("no route"), "could not be reached"),
    "network silent": (httpx.ReadTimeout("late"), "did not answer in time"),
    "network ill": (refusal(503), "has trouble"),
    "no token": (ok({}), "gives no access token"),
    "no JSON": (httpx.Response(200, text="<html>"), "not JSON"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_exchange_says_why_and_connects_nothing(
    as_kei: Client, luna: Persona, network: NetworkWith, name: str
) -> None:
    answer, said = FAILURES[name]
    network("x", **{TOKEN: answer})
    page = sign_in(as_kei, "x", persona=str(luna.pk))
    assert said in words(page)
    assert CODE not in words(page)
    assert HUSH not in words(page)
    assert not SocialAccount.objects.exists()
    assert page.redirect_chain == [(f"{LIST}setup/x/", 302)]


def test_tiktok_refuses_a_code_with_a_friendly_status(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    answer = {"error": "invalid_grant", "error_description": "Authorization code is expired."}
    network("tiktok", **{"POST /v2/oauth/token/": ok(answer)})
    page = sign_in(as_kei, "tiktok", persona=str(luna.pk))
    assert "Authorization code is expired." in words(page)


@pytest.mark.parametrize(
    ("name", "path", "answer", "said"),
    [
        ("facebook", "GET /v23.0/me/permissions", {"data": RIGHTS[:1]}, "did not grant"),
        ("facebook", "GET /v23.0/me/accounts", {"data": []}, "shows no page"),
        ("instagram", "POST /oauth/access_token",
         {"data": [{**BRIEF, "permissions": "instagram_business_basic"}]}, "did not grant"),
        ("linkedin", "POST /oauth/v2/accessToken", {**TOKENS, "scope": "openid"}, "did not grant"),
    ],
)  # fmt: skip
def test_a_right_that_was_not_granted_is_named(
    as_kei: Client,
    luna: Persona,
    network: NetworkWith,
    name: str,
    path: str,
    answer: Any,
    said: str,
) -> None:
    network(name, **{path: ok(answer)})
    assert said in words(sign_in(as_kei, name, persona=str(luna.pk)))
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"error": "access_denied", "error_description": "<b>no</b>"}, "you did not allow it"),
        ({"error": "user_cancelled_login"}, "you did not allow it"),
        ({"error": "<script>alert(1)"}, "answers with an error"),
        ({}, "without a code"),
    ],
)
def test_a_person_who_comes_back_without_a_code_is_told(
    as_kei: Client, luna: Persona, network: NetworkWith, query: dict[str, str], said: str
) -> None:
    there = network("x")
    asked = begin(as_kei, "x", persona=str(luna.pk))
    page = back(as_kei, "x", state=asked["state"], **query)
    assert said in words(page)
    assert "<script>alert" not in words(page)
    assert not there.asked
    # Used up all the same.
    assert "used already" in words(back(as_kei, "x", state=asked["state"], code=CODE))


def test_a_state_works_once(as_kei: Client, luna: Persona, network: NetworkWith) -> None:
    there = network("x")
    asked = begin(as_kei, "x", persona=str(luna.pk))
    back(as_kei, "x", state=asked["state"], code=CODE)
    spent = len(there.asked)
    assert "used already" in words(back(as_kei, "x", state=asked["state"], code=CODE))
    assert len(there.asked) == spent


def test_a_state_ends_after_ten_minutes(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    there = network("x")
    asked = begin(as_kei, "x", persona=str(luna.pk))
    row = SignIn.objects.get()
    assert timedelta(minutes=9) < row.expires_at - timezone.now() <= timedelta(minutes=10)
    SignIn.objects.update(expires_at=timezone.now())
    page = back(as_kei, "x", state=asked["state"], code=CODE)
    assert "longer than ten minutes" in words(page)
    assert not there.asked


def test_a_state_serves_only_the_person_and_the_browser_that_began_it(
    as_kei: Client, as_ada: Client, kei: User, luna: Persona, network: NetworkWith
) -> None:
    there = network("x")
    asked = begin(as_kei, "x", persona=str(luna.pk))
    second_browser = Client()
    second_browser.force_login(kei)
    for stranger in (as_ada, second_browser):
        page = back(stranger, "x", state=asked["state"], code=CODE)
        assert "another browser" in words(page)
    assert not there.asked
    # A stranger's try does not spend it.
    back(as_kei, "x", state=asked["state"], code=CODE)
    assert SocialAccount.objects.exists()


@pytest.mark.parametrize("state", ["", "guess", "\x00", "é" * 3_000])
def test_an_invented_state_is_refused(as_kei: Client, network: NetworkWith, state: str) -> None:
    network("x")
    assert "unknown here" in words(back(as_kei, "x", state=state, code=CODE))


def test_a_state_of_one_network_serves_no_other(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    network("x")
    there = network("linkedin")
    asked = begin(as_kei, "x", persona=str(luna.pk))
    assert "unknown here" in words(back(as_kei, "linkedin", state=asked["state"], code=CODE))
    assert not there.asked


@pytest.mark.parametrize(
    ("server", "said"),
    [("", "many servers"), ("http://town.example", "https"), ("://", "no server address")],
)
def test_a_servers_address_is_checked_before_anything_is_sent(
    as_kei: Client, luna: Persona, network: NetworkWith, server: str, said: str
) -> None:
    there = network("mastodon")
    form = {"persona": str(luna.pk), "server": server}
    page = as_kei.post(f"{LIST}connect/mastodon/", form, follow=True)
    assert said in words(page)
    assert not there.asked


def test_a_server_that_registers_nobody_is_named(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    network("mastodon", **{"POST /api/v1/apps": httpx.ConnectError("no route")})
    form = {"persona": str(luna.pk), "server": "town.example"}
    page = as_kei.post(f"{LIST}connect/mastodon/", form, follow=True)
    assert "could not be reached" in words(page)
    assert not SignIn.objects.exists()


def test_nobody_is_sent_away_from_an_address_that_they_would_not_come_back_to(
    as_kei: Client, luna: Persona, network: NetworkWith, settings: Settings
) -> None:
    network("x")
    settings.GATOR_PUBLIC_URL = "https://studio.example"
    page = as_kei.post(f"{LIST}connect/x/", {"persona": str(luna.pk)}, follow=True)
    assert "Open Gator at https://studio.example" in words(page)


# -- Secrets ------------------------------------------------------------------------------------


def test_nothing_secret_lies_in_rows_sessions_pages_or_the_trail(
    as_kei: Client, luna: Persona, network: NetworkWith, caplog: pytest.LogCaptureFixture
) -> None:
    there = network("x")
    caplog.set_level("INFO")
    page = as_kei.post(f"{LIST}connect/x/", {"persona": str(luna.pk)})
    state = parse_qs(urlsplit(page.context["address"]).query)["state"][0]
    verifier = SignIn.objects.get().held.open()["verifier"]
    assert state not in str(list(SignIn.objects.values()))
    assert "no-store" in page.headers["Cache-Control"]
    done = back(as_kei, "x", state=state, code=CODE)
    assert not SignIn.objects.get().held
    assert there.asked
    shown = words(page) + words(done) + str(list(AuditEntry.objects.values()))
    for secret in (HUSH, verifier, CODE, ACCESS, REFRESH):
        assert secret not in shown
        assert secret not in caplog.text
        assert secret not in str(dict(as_kei.session))
        assert secret not in str(list(SocialAccount.objects.values()))


def test_what_an_abandoned_sign_in_holds_is_erased(
    as_kei: Client, luna: Persona, network: NetworkWith
) -> None:
    network("x")
    begin(as_kei, "x", persona=str(luna.pk))
    SignIn.objects.update(expires_at=timezone.now())
    health.check_accounts()
    assert not SignIn.objects.exists()


# -- Who may ------------------------------------------------------------------------------------


def test_only_who_may_connect_accounts_signs_in(
    everyone: Everyone, luna: Persona, network: NetworkWith
) -> None:
    network("x")
    expected = {"staff": 200, "superuser": 200, "staff without the permission": 403}
    for role, user in everyone.items():
        client = Client()
        if user is not None:
            client.force_login(user)
        form = {"persona": str(luna.pk)}
        assert client.post(f"{LIST}connect/x/", form).status_code == expected.get(role, 302), role
        assert client.get(f"{LIST}setup/x/").status_code == expected.get(role, 302), role
        returned = client.get(f"{LIST}connect/x/back/", {"state": "s", "code": CODE})
        assert returned.status_code == (403 if "without" in role else 302), role
        assert CODE not in returned.headers.get("Location", ""), role


def test_who_may_only_change_accounts_connects_none_anew(
    sam: User, luna: Persona, lapsed: SocialAccount, network: NetworkWith
) -> None:
    network("x")
    sam.user_permissions.set(
        Permission.objects.filter(codename__in=["view_socialaccount", "change_socialaccount"])
    )
    client = Client()
    client.force_login(sam)
    assert client.post(f"{LIST}connect/x/", {"persona": str(luna.pk)}).status_code == 403
    sign_in(client, "x", account=str(lapsed.pk))
    lapsed.refresh_from_db()
    assert lapsed.status == SocialAccount.Status.WORKING


@pytest.mark.parametrize("form", [{}, {"persona": "x"}, {"account": "x"}, {"persona": "\x00"}])
def test_what_is_not_there_is_not_found(
    as_kei: Client, network: NetworkWith, form: dict[str, str]
) -> None:
    network("x")
    assert as_kei.post(f"{LIST}connect/x/", form).status_code == 404
    assert as_kei.post(f"{LIST}connect/nothing/", form).status_code == 404
    assert as_kei.get(f"{LIST}connect/x/").status_code == 405
