"""The admin's pages about moods, asked over HTTP and looked at in a browser."""

import hashlib
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, ConsoleMessage
from pytest_django.live_server_helper import LiveServer

from apps.core.models import User
from apps.personas.models import Persona
from apps.sentiment import services, tracking
from apps.sentiment.models import Batch, Comment, Competitor, Correction, Reading, Spike
from tests.conftest import PASSWORD
from tests.journeys.test_pages import complaints_of

PAGES = ["mood", "try"]


@pytest.mark.django_db
def test_each_page_opens_and_sam_sees_none(
    as_kei: Client, as_sam: Client, chatter: Persona
) -> None:
    comment = Comment.objects.earliest("id")
    spike = Spike.objects.create(
        persona=chatter,
        since=comment.written_at,
        count=10,
        negative=9,
        usual_share=0.1,
        p=0.001,
        comments=[str(comment.pk)],
    )
    row = services.correct(comment=comment, label="negative", by=None)
    paths = [reverse(f"admin:sentiment_reading_{name}") for name in PAGES]
    for model in ("reading", "comment", "correction", "competitor", "watch", "spike", "batch"):
        paths.append(reverse(f"admin:sentiment_{model}_changelist"))
    paths += [
        reverse("admin:sentiment_comment_change", args=[comment.pk]),
        reverse("admin:sentiment_correction_change", args=[row.pk]),
        reverse("admin:sentiment_spike_change", args=[spike.pk]),
        reverse("admin:sentiment_comment_import"),
        reverse("admin:sentiment_correction_add") + f"?comment={comment.pk}",
        reverse("admin:sentiment_correction_add") + "?comment=x",
    ]
    for path in paths:
        assert as_kei.get(path).status_code == 200, path
        assert as_sam.get(path).status_code == 403, path
    assert Spike.objects.get().seen_by is not None


@pytest.mark.django_db
def test_a_failing_competitor_is_named_and_can_be_tried_again(as_kei: Client) -> None:
    rival = Competitor.objects.create(name="Rival", network="bluesky", handle="gone.example")
    other = Competitor.objects.create(name="Other", network="instagram", handle="other")
    tracking.failed(rival.pk, "Profile not found.", lasting=True, wait=None, whole_server=False)
    listing = reverse("admin:sentiment_competitor_changelist")
    page = as_kei.get(listing).content.decode()
    assert "Profile not found." in page
    assert "by import" in page
    form = as_kei.get(reverse("admin:sentiment_competitor_change", args=[rival.pk]))
    assert "Profile not found." in form.content.decode()
    chosen = {"action": "fetch_selected", "_selected_action": [str(rival.pk), str(other.pk)]}
    page = as_kei.post(listing, chosen, follow=True).content.decode()
    assert "1 will be fetched within two minutes." in page
    assert "Other: instagram is imported." in page
    rival.refresh_from_db()
    assert (rival.fault, rival.fetch_at) == ("", None)


@pytest.mark.django_db
def test_a_text_is_shown_with_its_evidence_and_never_as_markup(as_kei: Client) -> None:
    text = "<b>I love</b> it, but the <script>x</script> is terrible"
    page = as_kei.post(reverse("admin:sentiment_reading_try"), {"text": text}).content.decode()
    assert "<script>x" not in page
    assert "&lt;b&gt;" in page
    assert '<mark class="g-bad"' in page
    assert "after but" in page
    assert (
        as_kei.post(reverse("admin:sentiment_reading_try"), {"text": "a" * 10_001}).status_code
        == 200
    )


FILE = b"text,author\nI love it,ann\n<script>alert(1)</script> I hate it,bob\n,cy\nI love it,ann\n"


@pytest.mark.django_db
@pytest.mark.parametrize("whose", ["persona", "competitor"])
def test_a_file_of_comments_is_looked_at_then_taken(
    as_kei: Client, luna: Persona, whose: str
) -> None:
    rival = Competitor.objects.create(name="Rival", network="instagram", handle="rival")
    about = {"persona": luna.pk, "competitor": rival.pk}[whose]
    address = reverse("admin:sentiment_comment_import")
    assert "Import" in as_kei.get(reverse("admin:sentiment_comment_changelist")).content.decode()

    def submit(button: str, **more: str) -> str:
        file = SimpleUploadedFile("comments.csv", FILE)
        given = {"about": f"{whose}_id:{about}", "network": "Instagram", button: "1", **more}
        page = as_kei.post(address, {"file": file, **given}, follow=True)
        assert page.status_code == 200
        return page.content.decode()

    looked = submit("look")
    assert "4 rows: 2 comments, 1 refused." in looked and "1 stand in it twice." in looked
    assert "This is empty." in looked and "Nothing is stored yet." in looked
    assert "positive" in looked and "negative" in looked and "<script>alert" not in looked
    assert not Comment.objects.exists()
    assert "Select a valid choice" in submit("take", about="persona_id:0")
    assert "2 are new or changed and will be read; 1 row was left out." in submit("take")
    assert Comment.objects.filter(**{whose: about}, network="instagram").count() == 2
    # Known comments stay one.
    assert "0 are new or changed" in submit("take")


@pytest.mark.django_db
def test_a_file_without_faults_leads_to_its_batch(as_kei: Client, luna: Persona) -> None:
    given = {"about": f"persona_id:{luna.pk}", "network": "import", "take": "1"}
    address = reverse("admin:sentiment_comment_import")
    file = SimpleUploadedFile("comments.jsonl", b'{"text": "I love it"}\n')
    answer = as_kei.post(address, {"file": file, **given})
    batch = Batch.objects.get()
    assert answer["Location"] == reverse("admin:sentiment_batch_change", args=[batch.pk])
    assert (batch.name, batch.total) == ("comments.jsonl", 1)
    assert "1 that were new or changed" in as_kei.get(answer["Location"]).content.decode()
    listed = reverse("admin:sentiment_comment_changelist", query={"batch__id__exact": batch.pk})
    assert "I love it" in as_kei.get(listed).content.decode()
    wrong = SimpleUploadedFile("comments.xlsx", b"PK")
    page = as_kei.post(address, {"file": wrong, **given}).content.decode()
    assert "Name the file .csv, .json or .jsonl." in page


@pytest.mark.django_db
def test_a_correction_in_the_admin_counts_at_once(as_kei: Client, chatter: Persona) -> None:
    comment = Comment.objects.earliest("id")
    form = {"text": comment.text, "label": "very_negative", "intent": "", "note": ""}
    answer = as_kei.post(reverse("admin:sentiment_correction_add"), form)
    assert answer.status_code == 302
    assert Reading.objects.get(comment=comment).label == "very_negative"
    row = Correction.objects.get()
    as_kei.post(reverse("admin:sentiment_correction_delete", args=[row.pk]), {"post": "yes"})
    assert Reading.objects.get(comment=comment).corrected is False


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_mood_page_in_a_browser(
    browser: Browser, live_server: LiveServer, ada: User, chatter: Persona, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1600}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            said.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{live_server.url}/admin/login/?next=/admin/sentiment/reading/mood/")
    page.fill("#id_username", ada.username)
    page.fill("#id_password", PASSWORD)
    page.click("#login-form button")
    page.get_by_role("heading", name="Mood by day").wait_for()
    # A chart has drawn itself once its canvas has a size of its own and is not blank.
    drawn = """() => [...document.querySelectorAll("canvas")].every((canvas) =>
        canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            .data.some((value) => value))"""
    page.wait_for_function(drawn)
    assert page.locator("canvas").count() == 3
    assert complaints_of(page) == []
    page.goto(f"{live_server.url}/admin/sentiment/reading/try/")
    page.fill("#id_text", "The camera is not bad, but I hate the battery 😡 #worstdayever")
    page.get_by_role("button", name="Read it").click()
    page.locator("mark.g-bad").first.wait_for()
    assert complaints_of(page) == []
    assert said == []
    context.close()


def test_copied_files_are_what_they_were() -> None:
    folders = list((settings.BASE_DIR / "static" / "vendor").iterdir())
    assert folders
    for folder in folders:
        for line in (folder / "SHA256SUMS").read_text().splitlines():
            digest, name = line.split()
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.django_db(transaction=True)
def test_a_checked_file_is_still_chosen_when_it_is_taken(
    live_server: LiveServer, browser: Browser, ada: User, luna: Persona
) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{live_server.url}/admin/login/?next=/admin/sentiment/comment/import/")
    page.fill("#id_username", ada.username)
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    file: Any = {"name": "comments.csv", "mimeType": "text/csv", "buffer": FILE}
    page.set_input_files("#id_file", file)
    # Unfold would write the file's name here.
    assert page.input_value("#id_network") == "import"
    page.click("text=Check the file")
    page.wait_for_selector("text=Nothing is stored yet.")
    page.click("text=Import what is right")
    page.wait_for_selector("text=2 are new or changed and will be read; 1 row was left out.")
    assert Comment.objects.count() == 2
    assert not errors
    page.close()
