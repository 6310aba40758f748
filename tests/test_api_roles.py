"""Who may call what: every method of every API address, for every role, from the URL conf itself.

A new address fails here until ALLOWED says who may use it.
"""

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from PIL import Image

from apps.core.models import Alert, AuditEntry, User
from apps.personas.models import Fact, Persona
from apps.scheduling import services
from apps.scheduling.models import SocialAccount
from tests.conftest import ApiOf

ANYBODY = "anybody"
HOUR = timedelta(hours=1)
METHODS = ("get", "post", "put", "patch", "delete")

# The permission that each call needs; ANYBODY may come without signing in.
ALLOWED: dict[tuple[str, str], str] = {
    ("get", "api-root"): ANYBODY,
    ("get", "schema"): ANYBODY,
    ("get", "docs"): ANYBODY,
    ("post", "token"): ANYBODY,
    ("post", "token-refresh"): ANYBODY,
    ("post", "token-revoke"): ANYBODY,
    ("get", "audit-list"): "core.view_auditentry",
    ("get", "audit-detail"): "core.view_auditentry",
    ("get", "alert-list"): "core.view_alert",
    ("get", "alert-detail"): "core.view_alert",
    ("get", "persona-list"): "personas.view_persona",
    ("post", "persona-list"): "personas.add_persona",
    ("get", "persona-detail"): "personas.view_persona",
    ("put", "persona-detail"): "personas.change_persona",
    ("patch", "persona-detail"): "personas.change_persona",
    ("delete", "persona-detail"): "personas.delete_persona",
    ("post", "persona-hold"): "personas.change_persona",
    ("post", "persona-release"): "personas.change_persona",
    ("get", "fact-list"): "personas.view_fact",
    ("post", "fact-list"): "personas.add_fact",
    ("get", "fact-detail"): "personas.view_fact",
    ("put", "fact-detail"): "personas.change_fact",
    ("patch", "fact-detail"): "personas.change_fact",
    ("delete", "fact-detail"): "personas.delete_fact",
    ("get", "studio-hold"): "personas.view_hold",
    ("post", "studio-hold"): "personas.add_hold",
    ("delete", "studio-hold"): "personas.delete_hold",
    ("get", "network-list"): "scheduling.view_socialaccount",
    ("get", "account-list"): "scheduling.view_socialaccount",
    ("post", "account-list"): "scheduling.add_socialaccount",
    ("get", "account-detail"): "scheduling.view_socialaccount",
    ("put", "account-detail"): "scheduling.change_socialaccount",
    ("patch", "account-detail"): "scheduling.change_socialaccount",
    ("delete", "account-detail"): "scheduling.delete_socialaccount",
    ("post", "account-test"): "scheduling.change_socialaccount",
    ("get", "media-list"): "scheduling.view_media",
    ("post", "media-list"): "scheduling.add_media",
    ("get", "media-detail"): "scheduling.view_media",
    ("patch", "media-detail"): "scheduling.change_media",
    ("delete", "media-detail"): "scheduling.delete_media",
    ("get", "post-list"): "scheduling.view_post",
    ("post", "post-list"): "scheduling.add_post",
    ("get", "post-detail"): "scheduling.view_post",
    ("put", "post-detail"): "scheduling.change_post",
    ("patch", "post-detail"): "scheduling.change_post",
    ("delete", "post-detail"): "scheduling.delete_post",
    ("post", "post-check"): "scheduling.add_post",
    ("post", "post-schedule"): "scheduling.add_post",
    ("post", "post-cancel"): "scheduling.change_post",
    ("post", "post-publish-now"): "scheduling.change_post",
    ("get", "delivery-list"): "scheduling.view_delivery",
    ("get", "delivery-detail"): "scheduling.view_delivery",
    ("post", "delivery-retry"): "scheduling.change_delivery",
    ("post", "delivery-hold"): "scheduling.change_delivery",
    ("post", "delivery-release"): "scheduling.change_delivery",
    ("post", "delivery-resolve"): "scheduling.change_delivery",
}


def _methods(callback: Any) -> list[str]:
    actions = getattr(callback, "actions", None)
    if actions is not None:
        return [method for method in METHODS if method in actions]
    view = getattr(callback, "cls", None) or callback.view_class
    return [method for method in METHODS if hasattr(view, method)]


def addresses(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every (method, name, pattern) under /api/."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        where = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry.url_patterns, where)
        elif isinstance(entry, URLPattern) and where.lstrip("^").startswith("api/"):
            name = entry.name or "api-root"
            yield from ((method, name, where) for method in _methods(entry.callback))


def test_every_address_has_its_line() -> None:
    there = {(method, name) for method, name, _ in addresses()}
    assert there - set(ALLOWED) == set(), "say in ALLOWED who may call these"
    assert set(ALLOWED) - there == set(), "these are gone"


def test_every_address_takes_both_forms() -> None:
    without = [where for _, _, where in addresses() if not where.endswith(("/?$", "^$", "api/v1$"))]
    assert without == []


@pytest.fixture
def rows(luna: Persona, wall: SocialAccount) -> dict[str, Any]:
    """One row of everything that has an address."""
    post = services.schedule_post(
        services.Draft(
            persona=luna, accounts=[wall], text="Fog", scheduled_at=timezone.now() + HOUR
        ),
        by=None,
    )
    content = BytesIO()
    Image.new("RGB", (8, 6), "teal").save(content, "PNG")
    content.seek(0)
    return {
        "post": post,
        "delivery": post.deliveries.get(),
        "account": wall,
        "media": services.add_media(content, size=1, by=None),
        "persona": luna,
        "fact": Fact.objects.create(persona=luna, text="She likes fog."),
        "alert": Alert.objects.create(key="k", title="Look"),
        "audit": AuditEntry.objects.create(actor_name="gator", action="x", object_type="y"),
    }


def path_of(name: str, rows: dict[str, Any]) -> str:
    thing = name.split("-")[0]
    needs_id = name.endswith("-detail") or (
        thing in rows and not name.endswith(("-list", "-check", "-schedule"))
    )
    return reverse(name, args=[rows[thing].pk] if needs_id else [])


def _call(client: Any, method: str, path: str) -> int:
    return int(getattr(client, method)(path, {}, format="json").status_code)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "name"), sorted(set(ALLOWED) - {("post", "media-list")}))
def test_each_role_is_let_in_or_not(
    method: str,
    name: str,
    rows: dict[str, Any],
    fan: User,
    sam: User,
    ada: User,
    api_of: ApiOf,
    django_user_model: type[User],
) -> None:
    path = path_of(name, rows)
    wanted = ALLOWED[method, name]
    if wanted == ANYBODY:
        assert _call(api_of(None), method, path) not in (403, 404, 405), path
        return
    exact = django_user_model.objects.create_user("exact", is_staff=True)
    others = django_user_model.objects.create_user("others", is_staff=True)
    fan_with = django_user_model.objects.create_user("fan_with")
    app, codename = wanted.split(".")
    permission = Permission.objects.get(content_type__app_label=app, codename=codename)
    exact.user_permissions.set([permission])
    fan_with.user_permissions.set([permission])
    others.user_permissions.set(Permission.objects.exclude(pk=permission.pk))
    assert _call(api_of(None), method, path) == 401
    for user in (fan, fan_with, sam, others):
        assert _call(api_of(user), method, path) == 403, user
    for user in (exact, ada):
        assert _call(api_of(user), method, path) not in (401, 403, 404, 405, 500), user
        if method == "delete":
            break


@pytest.mark.django_db
def test_uploads_follow_the_same_rule(fan: User, sam: User, kei: User, api_of: ApiOf) -> None:
    def call(user: User | None) -> int:
        return int(api_of(user).post("/api/v1/media/", {}, format="multipart").status_code)

    assert [call(user) for user in (None, fan, sam, kei)] == [401, 403, 403, 400]


@pytest.mark.django_db
def test_options_and_wrong_methods_keep_the_same_order(fan: User, kei: User, api_of: ApiOf) -> None:
    def ask(user: User | None, method: str) -> int:
        return int(getattr(api_of(user), method)("/api/v1/posts/").status_code)

    assert [ask(user, "options") for user in (None, fan, kei)] == [401, 403, 200]
    assert [ask(user, "delete") for user in (None, fan, kei)] == [401, 403, 405]
