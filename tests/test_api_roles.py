"""Who may call what: every method of every API address, for every role, from the URL conf itself.

A new address fails here until ALLOWED says who may use it.
"""

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from PIL import Image

from apps.backups.models import BackupRun
from apps.core.models import Alert, AuditEntry, User
from apps.personas.models import Fact, Persona
from apps.scheduling import authoring, planning, services
from apps.scheduling.models import (
    DAY,
    DraftRun,
    Evergreen,
    HashtagSet,
    SocialAccount,
    Template,
    WebhookEndpoint,
    WebhookMessage,
)
from apps.scheduling.recurrence import Rule
from apps.sentiment import services as sentiment
from apps.sentiment.models import Batch, Comment, Competitor, Spike, Watch
from tests.conftest import ApiOf

pytestmark = pytest.mark.once
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
    ("get", "account-slots"): "scheduling.view_socialaccount",
    ("post", "account-set-slots"): "scheduling.change_socialaccount",
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
    ("post", "post-queue"): "scheduling.add_post",
    ("post", "post-schedule"): "scheduling.add_post",
    ("post", "post-cancel"): "scheduling.change_post",
    ("post", "post-publish-now"): "scheduling.change_post",
    ("get", "series-list"): "scheduling.view_series",
    ("post", "series-list"): "scheduling.add_series",
    ("post", "series-preview"): "scheduling.add_series",
    ("get", "series-detail"): "scheduling.view_series",
    ("put", "series-detail"): "scheduling.change_series",
    ("patch", "series-detail"): "scheduling.change_series",
    ("delete", "series-detail"): "scheduling.delete_series",
    ("get", "series-occurrences"): "scheduling.view_series",
    ("post", "series-change-following"): "scheduling.change_series",
    ("post", "series-skip"): "scheduling.change_series",
    ("post", "series-unskip"): "scheduling.change_series",
    ("post", "series-pause"): "scheduling.change_series",
    ("post", "series-resume"): "scheduling.change_series",
    ("get", "evergreen-list"): "scheduling.view_evergreen",
    ("post", "evergreen-list"): "scheduling.add_evergreen",
    ("get", "evergreen-detail"): "scheduling.view_evergreen",
    ("patch", "evergreen-detail"): "scheduling.change_evergreen",
    ("delete", "evergreen-detail"): "scheduling.delete_evergreen",
    ("post", "post-import-file"): "scheduling.add_post",
    ("get", "post-export-csv"): "scheduling.view_post",
    ("get", "post-export-json"): "scheduling.view_post",
    ("post", "post-batch"): "scheduling.change_post",
    ("post", "post-submit"): "scheduling.change_post",
    ("post", "post-approve"): "scheduling.approve_post",
    ("post", "post-send-back"): "scheduling.approve_post",
    ("get", "post-comments"): "scheduling.view_postcomment",
    ("post", "post-comments"): "scheduling.add_postcomment",
    ("get", "webhook-list"): "scheduling.view_webhookendpoint",
    ("post", "webhook-list"): "scheduling.add_webhookendpoint",
    ("get", "webhook-detail"): "scheduling.view_webhookendpoint",
    ("put", "webhook-detail"): "scheduling.change_webhookendpoint",
    ("patch", "webhook-detail"): "scheduling.change_webhookendpoint",
    ("delete", "webhook-detail"): "scheduling.delete_webhookendpoint",
    ("post", "webhook-test"): "scheduling.change_webhookendpoint",
    ("post", "webhook-renew-secret"): "scheduling.change_webhookendpoint",
    ("get", "hookmessage-list"): "scheduling.view_webhookmessage",
    ("get", "hookmessage-detail"): "scheduling.view_webhookmessage",
    ("post", "hookmessage-replay"): "scheduling.change_webhookmessage",
    ("get", "template-list"): "scheduling.view_template",
    ("post", "template-list"): "scheduling.add_template",
    ("get", "template-detail"): "scheduling.view_template",
    ("put", "template-detail"): "scheduling.change_template",
    ("patch", "template-detail"): "scheduling.change_template",
    ("delete", "template-detail"): "scheduling.delete_template",
    ("get", "hashtag-set-list"): "scheduling.view_hashtagset",
    ("post", "hashtag-set-list"): "scheduling.add_hashtagset",
    ("get", "hashtag-set-detail"): "scheduling.view_hashtagset",
    ("put", "hashtag-set-detail"): "scheduling.change_hashtagset",
    ("patch", "hashtag-set-detail"): "scheduling.change_hashtagset",
    ("delete", "hashtag-set-detail"): "scheduling.delete_hashtagset",
    ("post", "persona-drafts"): "scheduling.add_draftrun",
    ("get", "draftrun-list"): "scheduling.view_draftrun",
    ("get", "draftrun-detail"): "scheduling.view_draftrun",
    ("post", "draftrun-retry"): "scheduling.add_draftrun",
    ("post", "draftrun-take"): "scheduling.add_post",
    ("get", "delivery-list"): "scheduling.view_delivery",
    ("get", "delivery-detail"): "scheduling.view_delivery",
    ("get", "delivery-measurements"): "scheduling.view_delivery",
    ("post", "post-unpublish"): "scheduling.change_post",
    ("post", "post-correct"): "scheduling.change_post",
    ("post", "delivery-unpublish"): "scheduling.change_delivery",
    ("post", "delivery-mark-removed"): "scheduling.change_delivery",
    ("post", "delivery-retry"): "scheduling.change_delivery",
    ("post", "delivery-hold"): "scheduling.change_delivery",
    ("post", "delivery-release"): "scheduling.change_delivery",
    ("post", "delivery-resolve"): "scheduling.change_delivery",
    ("post", "analyze-text"): "sentiment.view_reading",
    ("post", "analyze-comments"): "sentiment.view_reading",
    ("post", "analyze-engagement"): "sentiment.view_reading",
    ("post", "compare-competitors"): "sentiment.view_reading",
    ("get", "trends"): "sentiment.view_reading",
    ("get", "sentiment-health"): "sentiment.view_reading",
    ("get", "reading-list"): "sentiment.view_reading",
    ("get", "reading-detail"): "sentiment.view_reading",
    ("get", "comment-list"): "sentiment.view_comment",
    ("get", "comment-detail"): "sentiment.view_comment",
    ("get", "batch-list"): "sentiment.view_batch",
    ("get", "batch-detail"): "sentiment.view_batch",
    ("post", "batch-list"): "sentiment.add_batch",
    ("get", "correction-list"): "sentiment.view_correction",
    ("get", "correction-detail"): "sentiment.view_correction",
    ("post", "correction-list"): "sentiment.add_correction",
    ("delete", "correction-detail"): "sentiment.delete_correction",
    ("get", "competitor-list"): "sentiment.view_competitor",
    ("get", "competitor-detail"): "sentiment.view_competitor",
    ("post", "competitor-list"): "sentiment.add_competitor",
    ("put", "competitor-detail"): "sentiment.change_competitor",
    ("patch", "competitor-detail"): "sentiment.change_competitor",
    ("delete", "competitor-detail"): "sentiment.delete_competitor",
    ("post", "competitor-fetch"): "sentiment.change_competitor",
    ("get", "watch-list"): "sentiment.view_watch",
    ("get", "watch-detail"): "sentiment.view_watch",
    ("post", "watch-list"): "sentiment.add_watch",
    ("put", "watch-detail"): "sentiment.change_watch",
    ("patch", "watch-detail"): "sentiment.change_watch",
    ("delete", "watch-detail"): "sentiment.delete_watch",
    ("get", "spike-list"): "sentiment.view_spike",
    ("get", "spike-detail"): "sentiment.view_spike",
    ("post", "comment-import-file"): "sentiment.add_comment",
    ("get", "correction-drift"): "sentiment.view_correction",
    ("post", "spike-seen"): "sentiment.change_spike",
    ("get", "backup-list"): "backups.view_backuprun",
    ("post", "backup-list"): "backups.add_backuprun",
    ("get", "backup-detail"): "backups.view_backuprun",
    ("post", "backup-verify"): "backups.change_backuprun",
}


# Forms with a file have a test of their own.
UPLOADS = {
    ("post", "media-list"),
    ("post", "comment-import-file"),
    ("post", "post-import-file"),
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
        elif where.lstrip("^").startswith("api/v1/chat/"):
            # Open to fans, each for what is theirs: tests/chat/test_api.py has that table.
            continue
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
    hook = WebhookEndpoint.objects.create(name="Mine", url="https://example.org/hook")
    content = BytesIO()
    Image.new("RGB", (8, 6), "teal").save(content, "PNG")
    content.seek(0)
    return {
        "post": post,
        "delivery": post.deliveries.get(),
        "evergreen": Evergreen.objects.create(post=post, account=wall, distance=30 * DAY),
        "series": planning.create_series(
            planning.Plan(
                name="Mornings",
                draft=services.Draft(
                    persona=luna, accounts=[wall], text="Fog", scheduled_at=timezone.now()
                ),
                rule=Rule(
                    kind="daily",
                    zone=ZoneInfo("Europe/Lisbon"),
                    starts_on=timezone.localdate() + timedelta(days=1),
                    count=1,
                ),
            ),
            by=None,
        ),
        "draftrun": _draft_run(luna, wall),
        "account": wall,
        "webhook": hook,
        "hookmessage": WebhookMessage.objects.create(
            endpoint=hook, event="delivery.missed", delivery=post.pk, body={}, state="failed"
        ),
        "template": Template.objects.create(name="Morning", text="Good morning"),
        "hashtag": HashtagSet.objects.create(name="Film", hashtags=["35mm"]),
        "media": services.add_media(content, size=1, by=None),
        "persona": luna,
        "fact": Fact.objects.create(persona=luna, text="She likes fog."),
        **_sentiment_rows(luna),
        "backup": BackupRun.objects.create(name="backup_20260101_000000", state="done"),
        "alert": Alert.objects.create(key="k", title="Look"),
        "audit": AuditEntry.objects.create(actor_name="gator", action="x", object_type="y"),
    }


def _draft_run(luna: Persona, wall: SocialAccount) -> DraftRun:
    wish = authoring.Wish(persona=luna, accounts=[wall], count=1)
    return authoring.ask_for_drafts(wish, by=None)


def _sentiment_rows(luna: Persona) -> dict[str, Any]:
    now = timezone.now()
    sentiment.read_now(
        persona=luna,
        comments=[sentiment.Written(network="wall", remote_id="1", text="I love it", author="fan")],
    )
    comment = Comment.objects.get()
    return {
        "comment": comment,
        "reading": comment.reading,
        "batch": Batch.objects.create(persona=luna),
        "correction": sentiment.correct(label="positive", text="so so", by=None),
        "competitor": Competitor.objects.create(name="Rival", network="wall", handle="rival"),
        "watch": Watch.objects.create(persona=luna),
        "spike": Spike.objects.create(
            persona=luna, since=now, count=10, negative=9, usual_share=0.1, p=0.0001
        ),
        # Not a row of its own: the trends of a persona.
        "trends": luna,
    }


def path_of(name: str, rows: dict[str, Any]) -> str:
    thing = name.split("-")[0]
    needs_id = name.endswith("-detail") or (
        thing in rows
        and not name.endswith(
            (
                "-list",
                "-check",
                "-schedule",
                "-preview",
                "-queue",
                "-import-file",
                "-drift",
                "-export-csv",
                "-export-json",
                "-batch",
            )
        )
    )
    return reverse(name, args=[rows[thing].pk] if needs_id else [])


def _call(client: Any, method: str, path: str) -> int:
    return int(getattr(client, method)(path, {}, format="json").status_code)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "name"), sorted(set(ALLOWED) - UPLOADS))
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
    def call(user: User | None, path: str) -> int:
        return int(api_of(user).post(path, {}, format="multipart").status_code)

    for path in (
        "/api/v1/media/",
        "/api/v1/posts/import/",
        "/api/v1/sentiment/comments/import/",
    ):
        found = [call(user, path) for user in (None, fan, sam, kei)]
        assert found == [401, 403, 403, 400], path


@pytest.mark.django_db
def test_options_and_wrong_methods_keep_the_same_order(fan: User, kei: User, api_of: ApiOf) -> None:
    def ask(user: User | None, method: str) -> int:
        return int(getattr(api_of(user), method)("/api/v1/posts/").status_code)

    assert [ask(user, "options") for user in (None, fan, kei)] == [401, 403, 200]
    assert [ask(user, "delete") for user in (None, fan, kei)] == [401, 403, 405]
