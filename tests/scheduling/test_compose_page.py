"""The composer in a real browser: parts with pictures and videos of their own."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FilePayload, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.core.models import User
from apps.scheduling.models import Post, SocialAccount
from tests.conftest import PASSWORD
from tests.scheduling.films import film
from tests.scheduling.test_wall import a_picture

ADD = "/admin/scheduling/post/add/"


@pytest.mark.django_db(transaction=True)
def test_a_part_is_added_with_a_video_and_described(
    live_server: LiveServer, page: Page, kei: User, wall: SocialAccount
) -> None:
    page.goto(f"{live_server.url}/admin/login/?next={ADD}")
    page.fill("#id_username", kei.username)
    page.fill("#id_password", PASSWORD)
    page.click("#login-form button")
    page.fill("#id_text", "Fog over the river")
    picture = FilePayload(name="fog.jpg", mimeType="image/jpeg", buffer=a_picture("JPEG").read())
    page.set_input_files("#uploads", [picture])
    page.get_by_label("What does fog.jpg show?").fill("A tram in fog")
    for text in ("And more of it", "The end"):
        page.click("#add-part")
        page.keyboard.type(text)
    second = page.locator('[data-part="2"]')
    expect(second.get_by_label("Part 3", exact=True)).to_have_value("The end")
    second.locator("summary").click()
    video = FilePayload(name="fog.mp4", mimeType="video/mp4", buffer=film())
    second.locator('input[type="file"]').set_input_files([video])
    second.get_by_label("What does fog.mp4 show?").fill("Fog rolls in")
    page.click('button[name="save"]')
    expect(page.locator("#previews video")).to_have_count(1)
    post = Post.objects.get()
    assert [part["text"] for part in post.parts] == ["And more of it", "The end"]
    assert [(each.part, each.media.mime, each.media.alt) for each in post.attached] == [
        (0, "image/jpeg", "A tram in fog"),
        (2, "video/mp4", "Fog rolls in"),
    ]
    # Chosen for the second part instead, it is seen there.
    page.locator('[data-part="1"] summary').click()
    page.locator('[data-part="1"] .g-pick', has=page.locator("video")).click()
    expect(page.locator("#previews .g-shown-part").nth(1).locator("video")).to_be_visible()
    faults = Axe().run(page).response["violations"]
    serious = [each["id"] for each in faults if each["impact"] in {"serious", "critical"}]
    assert serious == []
