"""Many posts at once: nothing is dropped in silence, and nothing is said twice by mistake."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.core.models import AuditEntry
from apps.personas.models import Persona
from apps.scheduling import bulk, services
from apps.scheduling.models import Delivery, Media, Post, SocialAccount

pytestmark = pytest.mark.django_db

IMPORT = "/api/v1/posts/import/"
SOON = (timezone.now() + timedelta(days=3)).replace(microsecond=0)


def table(*rows: dict[str, Any]) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, sorted({name for row in rows for name in row}))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def row(text: str, **more: Any) -> dict[str, Any]:
    return {"accounts": "wall", "scheduled_at": SOON.isoformat(), "text": text, **more}


def send(api: APIClient, content: bytes, name: str = "posts.csv", **more: Any) -> Any:
    file = SimpleUploadedFile(name, content)
    return api.post(IMPORT, {"file": file, **more}, format="multipart")


# -- Import -------------------------------------------------------------------------------------


def test_a_file_becomes_posts(api: APIClient, wall: SocialAccount, picture: Media) -> None:
    content = table(
        row("One", hashtags="#fog lisbon", media=str(picture.pk), campaign="May"),
        row("Two", scheduled_at="2098-01-01 08:00", too_late_after="never", media_by_ai="no"),
    )
    answer = send(api, content, persona=str(wall.persona_id)).json()
    assert (answer["rows"], answer["taken"], answer["scheduled"]) == (2, 2, 2)
    one, two = Post.objects.order_by("scheduled_at")
    assert (one.hashtags, one.campaign, one.scheduled_at) == (["fog", "lisbon"], "May", SOON)
    assert [each.media for each in one.postmedia_set.all()] == [picture]
    assert (two.too_late_after, two.media_by_ai, two.text_by_ai) == (None, False, True)
    # In the persona's own time, and Lisbon is at UTC in January.
    assert two.scheduled_at == datetime(2098, 1, 1, 8, tzinfo=UTC)
    assert {each.state for each in Delivery.objects.all()} == {"scheduled"}
    assert AuditEntry.objects.get(action="import posts").details == {"posts": 2}


def test_a_dry_run_stores_nothing(api: APIClient, wall: SocialAccount) -> None:
    answer = send(api, table(row("One", persona="luna")), dry_run="true").json()
    assert (answer["taken"], answer["scheduled"], answer["dry_run"]) == (1, 0, True)
    assert not Post.objects.exists()


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"persona": "nobody"}, "persona", "no persona"),
    ({"accounts": "bluesky"}, "accounts", "no account"),
    ({"accounts": ""}, "accounts", "Name networks"),
    ({"scheduled_at": "tomorrow"}, "scheduled_at", "no time"),
    ({"scheduled_at": "2020-01-01T08:00:00Z"}, "scheduled_at", "passed"),
    ({"text": " "}, "text", "Nothing to publish"),
    ({"link": "javascript:alert(1)"}, "link", "no web address"),
    ({"hashtags": "no-dash"}, "hashtags", "letters"),
    ({"media": "x"}, "media", "no picture"),
    ({"too_late_after": "soon"}, "too_late_after", "PT2H"),
    ({"text_by_ai": "maybe"}, "text_by_ai", "yes or no"),
]


@pytest.mark.parametrize(("change", "column", "words"), WRONG)
def test_each_error_has_its_row_and_the_others_are_taken(
    api: APIClient, wall: SocialAccount, change: dict[str, Any], column: str, words: str
) -> None:
    content = json.dumps([row("Fine"), {**row("Wrong"), **change}, row("Fine too")]).encode()
    answer = send(api, content, "posts.json", persona=str(wall.persona_id)).json()
    assert (answer["scheduled"], answer["refused"]) == (2, 1)
    assert [(each["row"], each["column"]) for each in answer["errors"]] == [(2, column)]
    assert words in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("posts.xls", b"x", "Name the file"),
        ("posts.csv", b"\xff\xfe", "not UTF-8"),
        ("posts.csv", b"a,b\n1,2\n", "first line must name"),
        ("posts.json", b"{", "not JSON"),
        ("posts.json", b"3", "list of posts"),
    ],
)
def test_a_file_that_is_none_is_refused(
    api: APIClient, wall: SocialAccount, name: str, content: bytes, words: str
) -> None:
    answer = send(api, content, name)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_what_needs_approval_waits_for_it(api: APIClient, wall: SocialAccount) -> None:
    Persona.objects.update(needs_approval=True)
    send(api, table(row("One", persona="luna")))
    assert Post.objects.get().approval == "in_review"
    assert Delivery.objects.get().state == "awaiting"


def test_the_same_file_twice_is_taken_once(api: APIClient, wall: SocialAccount) -> None:
    content = table(row("One", persona="luna"), row("one  ", persona="luna"))
    first = send(api, content).json()
    assert (first["scheduled"], first["refused"]) == (1, 1)
    assert "Row 1 says the same" in first["errors"][0]["message"]
    again = send(api, content).json()
    assert (again["scheduled"], again["refused"]) == (0, 2)
    meant = send(api, content, allow_duplicate="true").json()
    assert meant["scheduled"] == 2


def test_what_is_exported_can_be_imported(
    api: APIClient, wall: SocialAccount, picture: Media, luna: Persona
) -> None:
    draft = services.Draft(
        persona=luna,
        accounts=[wall],
        text="=cmd|' /C calc'!A0\nsecond line",
        hashtags=["fog"],
        link="https://example.org/?a=1&b=2",
        media=[picture],
        scheduled_at=SOON,
        campaign="May",
        text_by_ai=False,
        too_late_after=timedelta(hours=2),
    )
    services.schedule_post(draft, by=None)
    for kind in ("csv", "json"):
        file = api.get(f"/api/v1/posts/export-{kind}/", {"persona": str(luna.pk)})
        assert file["Content-Disposition"] == f'attachment; filename="posts.{kind}"'
        # No spreadsheet may take a text for a formula.
        assert b",=cmd" not in file.content
        parsed = bulk.parse(file.content, kind=kind, allow_duplicate=True)
        assert parsed.errors == []
        [back] = parsed.drafts
        assert (back.text, back.link, back.hashtags) == (draft.text, draft.link, ["fog"])
        assert (back.media, back.campaign, back.text_by_ai) == ([picture], "May", False)
        assert (back.scheduled_at, back.too_late_after) == (SOON, timedelta(hours=2))


def test_the_command_does_the_same(
    wall: SocialAccount, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(table(row("One"), row("Two", link="x")))
    call_command("import_posts", path, persona="luna", dry_run=True)
    call_command("import_posts", path, persona="luna")
    said = capsys.readouterr()
    assert "row 2, link" in said.err
    assert "1 posts are scheduled." in said.out
    assert Post.objects.count() == 1


# -- Duplicates ---------------------------------------------------------------------------------


@pytest.fixture
def given(wall: SocialAccount) -> dict[str, Any]:
    return {
        "persona": str(wall.persona_id),
        "accounts": [str(wall.pk)],
        "text": "Fog on the river.",
        "scheduled_at": SOON.isoformat(),
    }


def test_the_same_on_the_same_account_is_refused_until_it_is_meant(
    api: APIClient, given: dict[str, Any]
) -> None:
    assert api.post("/api/v1/posts/", given, format="json").status_code == 201
    same = {**given, "text": "fog  on the RIVER. ", "hashtags": ["fog"]}
    refused = api.post("/api/v1/posts/", same, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate")
    assert refused.json()["errors"][0]["field"] == "accounts"
    checked = api.post("/api/v1/posts/check/", same, format="json").json()
    assert [each["code"] for each in checked["problems"]] == ["duplicate"]
    meant = api.post("/api/v1/posts/", {**same, "allow_duplicate": True}, format="json")
    assert meant.status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Other words"},
        {"link": "https://example.org/"},
        {"scheduled_at": (SOON + timedelta(days=31)).isoformat()},
    ],
)
def test_what_differs_is_no_duplicate(
    api: APIClient, given: dict[str, Any], change: dict[str, Any]
) -> None:
    api.post("/api/v1/posts/", given, format="json")
    assert api.post("/api/v1/posts/", {**given, **change}, format="json").status_code == 201


@pytest.mark.parametrize("state", ["cancelled", "failed", "missed"])
def test_what_never_went_out_is_no_duplicate(
    api: APIClient, given: dict[str, Any], state: str
) -> None:
    api.post("/api/v1/posts/", given, format="json")
    Delivery.objects.update(state=state)
    assert api.post("/api/v1/posts/", given, format="json").status_code == 201


def test_a_post_is_no_duplicate_of_itself(api: APIClient, given: dict[str, Any]) -> None:
    post = api.post("/api/v1/posts/", given, format="json").json()
    path = f"/api/v1/posts/{post['id']}/"
    assert api.patch(path, {"hashtags": ["fog"]}, format="json").status_code == 200
    api.post("/api/v1/posts/", {**given, "text": "Other"}, format="json")
    answer = api.patch(path, {"text": "other"}, format="json")
    assert answer.json()["code"] == "duplicate"


def test_the_composer_offers_the_override(as_kei: Client, wall: SocialAccount) -> None:
    address = f"/admin/scheduling/post/add/?persona={wall.persona_id}"
    form = {
        "text": "Fog",
        "accounts": [str(wall.pk)],
        "at": "2098-01-01T10:00",
        "zone": "Europe/Lisbon",
        "too_late": "86400",
    }
    as_kei.post(address, form)
    page = as_kei.post(address, form).content.decode()
    assert "Post it although the same is there" in page
    as_kei.post(address, {**form, "allow_duplicate": "on"})
    assert Post.objects.count() == 2


# -- Batch --------------------------------------------------------------------------------------


def test_a_batch_goes_out_now_on_the_named_networks(
    api: APIClient,
    given: dict[str, Any],
    account_on: Callable[[str], SocialAccount],
    network: Any,
) -> None:
    other = account_on("keyed")
    given["accounts"].append(str(other.pk))
    first = api.post("/api/v1/posts/", given, format="json").json()
    draft = api.post(
        "/api/v1/posts/", {**given, "text": "Draft", "as_draft": True}, format="json"
    ).json()
    unknown = "01900000-0000-7000-8000-000000000000"
    answer = api.post(
        "/api/v1/posts/batch/",
        {"content_ids": [first["id"], draft["id"], unknown], "platforms": ["wall"]},
        format="json",
    ).json()
    assert [(each["post"], each["platform"]) for each in answer["deliveries"]] == [
        (first["id"], "wall")
    ]
    assert {each["post"] for each in answer["skipped"]} == {draft["id"], unknown}
    now = timezone.now()
    assert Delivery.objects.get(account=other, post=first["id"]).due_at > now
    assert Delivery.objects.get(account__network="wall", post=first["id"]).due_at <= now


# -- In the admin -------------------------------------------------------------------------------


def test_the_admin_checks_then_takes_a_file(as_kei: Client, wall: SocialAccount) -> None:
    address = "/admin/scheduling/post/import/"
    assert as_kei.get(address).status_code == 200
    content = table(row("One"), row("<script>alert(1)</script>", link="<b>"))

    def submit(button: str) -> str:
        file = SimpleUploadedFile("posts.csv", content)
        given = {"file": file, "persona": str(wall.persona_id), button: "1"}
        return as_kei.post(address, given).content.decode()

    looked = submit("look")
    assert "Nothing is stored yet." in looked
    assert '<td class="g-words">One</td>' in looked and "<script>alert" not in looked
    assert not Post.objects.exists()
    assert "1 post is scheduled; 1 row was left out." in submit("take")
    chosen = {"action": "export_csv", "_selected_action": [str(Post.objects.get().pk)]}
    assert b"One" in as_kei.post("/admin/scheduling/post/", chosen).content
    assert "Import" in as_kei.get("/admin/scheduling/post/").content.decode()


def test_errors_that_are_not_listed_are_counted(
    as_kei: Client, wall: SocialAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_ERRORS", 2)
    file = SimpleUploadedFile("posts.csv", table(*(row(f"No {n}", link="x") for n in range(5))))
    given = {"file": file, "persona": str(wall.persona_id), "look": "1"}
    page = as_kei.post("/admin/scheduling/post/import/", given).content.decode()
    assert "3 more errors are not listed" in page


def test_only_who_may_add_imports(as_sam: Client) -> None:
    assert as_sam.get("/admin/scheduling/post/import/").status_code == 403


def test_a_personas_whole_queue_is_held_over_the_api_and_in_the_admin(
    api: APIClient, as_kei: Client, given: dict[str, Any], luna: Persona
) -> None:
    api.post("/api/v1/posts/", given, format="json")
    Delivery.objects.update(due_at=timezone.now())
    held = api.post(f"/api/v1/personas/{luna.pk}/hold/", {"reason": "Ill"}, format="json")
    assert held.json()["hold"]["reason"] == "Ill"
    assert not Delivery.objects.claimable(timezone.now()).exists()
    as_kei.post(f"/admin/personas/persona/{luna.pk}/release/")
    assert Delivery.objects.claimable(timezone.now()).exists()
