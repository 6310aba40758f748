"""The API's own pages in a real browser: they work under the policy that forbids inline scripts."""

import pytest
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from apps.core.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


def test_swagger_ui_shows_every_resource_and_breaks_no_policy(
    live_server: LiveServer, page: Page
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{live_server.url}/api/v1/docs/")
    page.click("#operations-tag-posts")
    page.wait_for_selector("#operations-posts-posts_create")
    page.click("#operations-posts-posts_create .opblock-summary-control")
    page.wait_for_selector("text=scheduled_at")
    assert page.locator("text=Idempotency-Key").count() >= 1
    assert [words for words in said if "Content Security Policy" in words] == []


def test_the_browsable_page_posts_with_a_session(
    live_server: LiveServer, page: Page, kei: User
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{live_server.url}/admin/login/")
    page.fill("[name=username]", "kei")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/admin/**")
    page.goto(f"{live_server.url}/api/v1/personas/")
    crumbs = page.locator(".breadcrumb li").all_inner_texts()
    assert [each.strip() for each in crumbs] == ["Root", "Persona List"]
    page.click("[name=raw-tab]") if page.locator("[name=raw-tab]").count() else None
    page.fill("textarea[name=_content]", '{"name": "Nova", "handle": "nova"}')
    page.click("form:has(textarea[name=_content]) button:has-text('POST')")
    page.wait_for_selector("text=HTTP 201 Created")
    page.fill("textarea[name=_content]", '{"name": "Nova", "handle": "nova"}')
    page.click("form:has(textarea[name=_content]) button:has-text('POST')")
    page.wait_for_selector("text=HTTP 400 Bad Request")
    assert [words for words in said if "Content Security Policy" in words] == []
