"""The Wall, the home page and uploaded pictures, as a visitor meets them."""

import io
import xml.etree.ElementTree as ET
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import publishing, services
from apps.scheduling.models import Media, SocialAccount, WallPost
from apps.scheduling.templatetags.wall import linked

pytestmark = pytest.mark.django_db

HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(2)> javascript:alert(3)'
ATOM = "{http://www.w3.org/2005/Atom}"


def on_wall(text: str, *, ago: int = 0, **fields: Any) -> WallPost:
    fields.setdefault("created_at", timezone.now() - timedelta(minutes=ago))
    return WallPost.objects.create(key=uuid4().hex, handle="luna", text=text, **fields)


def a_picture(kind: str = "PNG") -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "green").save(file, kind)
    file.seek(0)
    return file


@pytest.fixture
def media(ada: User) -> Media:
    file = a_picture()
    return services.add_media(file, size=len(file.getvalue()), alt="Green", by=ada)


class TestPages:
    def test_a_wall_shows_its_posts_newest_first_and_says_it_is_ai(
        self, client: Client, wall: SocialAccount
    ) -> None:
        on_wall("Older", ago=5)
        on_wall("Newer")
        page = client.get("/wall/luna/").content.decode()
        assert page.index("Newer") < page.index("Older")
        assert "Luna is an AI persona, run with Gator." in page

    def test_both_forms_of_every_address_answer(self, client: Client, wall: SocialAccount) -> None:
        row = on_wall("Good morning")
        for path in ("/wall/luna", "/wall/luna/feed", f"/wall/luna/{row.pk}"):
            assert client.get(path, follow=True).status_code == 200
            assert client.get(f"{path}/").status_code == 200

    def test_a_wall_of_nobody_is_a_404_in_our_look(self, client: Client, db: None) -> None:
        answer = client.get("/wall/nobody/")
        assert answer.status_code == 404
        assert "Nothing here" in answer.content.decode()

    def test_a_post_is_found_only_under_its_own_handle(
        self, client: Client, wall: SocialAccount, marlow: Persona
    ) -> None:
        SocialAccount.objects.create(persona=marlow, network="wall", handle="marlow")
        row = on_wall("Good morning")
        assert client.get(f"/wall/luna/{row.pk}/").status_code == 200
        assert client.get(f"/wall/marlow/{row.pk}/").status_code == 404

    def test_older_pages_follow_without_gap_or_repeat(
        self, client: Client, wall: SocialAccount
    ) -> None:
        moment = timezone.now()
        for number in range(45):
            # All of the same moment: the cursor must not lose or repeat any.
            on_wall(f"Post number {number:02d}", created_at=moment)
        seen: list[str] = []
        path = "/wall/luna/"
        for _ in range(3):
            answer = client.get(path)
            seen += [row.text for row in answer.context["posts"]]
            path = f"/wall/luna/?before={answer.context['older']}"
        assert len(seen) == 45 == len(set(seen))

    @pytest.mark.parametrize("cursor", ["x", "0190-", "'; --", "0" * 32])
    def test_a_cursor_of_nothing_is_a_404(
        self, client: Client, wall: SocialAccount, cursor: str
    ) -> None:
        assert client.get("/wall/luna/", {"before": cursor}).status_code == 404

    def test_times_are_in_the_personas_zone_with_the_zone_named(
        self, client: Client, wall: SocialAccount, luna: Persona
    ) -> None:
        luna.time_zone = "Asia/Tokyo"
        luna.save()
        on_wall("Hi")
        assert "JST" in client.get("/wall/luna/").content.decode()

    def test_the_home_page_lists_who_has_a_wall(self, client: Client, wall: SocialAccount) -> None:
        page = client.get("/").content.decode()
        assert 'href="/wall/luna/"' in page
        assert "Sign in" in page

    def test_public_pages_allow_no_inline_code(self, client: Client, wall: SocialAccount) -> None:
        on_wall("Hi")
        for path in ("/", "/wall/luna/", "/nope"):
            answer = client.get(path)
            policy = answer["Content-Security-Policy"]
            assert "unsafe" not in policy
            assert b"<style" not in answer.content
            assert b"<script" not in answer.content
            assert b" style=" not in answer.content


class TestText:
    def test_hostile_text_is_inert(self, client: Client, wall: SocialAccount) -> None:
        row = on_wall(HOSTILE, link="https://example.org/")
        row.images = [{"url": '"><script>', "alt": '" onload="x', "size": [1, 1]}]
        row.save()
        for path in ("/wall/luna/", f"/wall/luna/{row.pk}/"):
            page = client.get(path).content.decode()
            assert "<script" not in page
            assert "<img src=x" not in page
            assert '" onload="x' not in page
            assert 'href="javascript' not in page

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            (
                "See https://example.org/a?b=1&c=2.",
                'See <a href="https://example.org/a?b=1&amp;c=2" rel="nofollow noopener ugc">'
                "example.org/a?b=1&amp;c=2</a>.",
            ),
            ("#fog & <b>", '<span class="hashtag">#fog</span> &amp; &lt;b&gt;'),
            ("a#b", "a#b"),
            ("javascript:alert(1)", "javascript:alert(1)"),
            (
                "https://example.org/wiki/Gator_(animal)",
                '<a href="https://example.org/wiki/Gator_(animal)" rel="nofollow noopener ugc">'
                "example.org/wiki/Gator_(animal)</a>",
            ),
        ],
    )
    def test_links_and_hashtags(self, text: str, shown: str) -> None:
        assert linked(text) == shown

    def test_a_quote_ends_a_link(self) -> None:
        assert 'onmouseover="' not in linked('https://example.org/" onmouseover="x')


class TestFeed:
    def test_the_feed_is_valid_xml_whatever_was_written(
        self, client: Client, wall: SocialAccount
    ) -> None:
        on_wall(HOSTILE + " \x08\x1b & ]]>")
        answer = client.get("/wall/luna/feed/")
        assert answer["Content-Type"].startswith("application/atom+xml")
        entries = ET.fromstring(answer.content).findall(f"{ATOM}entry")
        assert len(entries) == 1
        assert "<script" not in (entries[0].findtext(f"{ATOM}summary") or "")


class TestPictures:
    def test_a_picture_is_served_as_what_it_is_and_can_do_nothing(
        self, client: Client, media: Media
    ) -> None:
        answer = client.get(f"/media/{media.file.name}")
        assert answer.status_code == 200
        assert answer["Content-Type"] == "image/png"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Disposition"] == "inline"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert "immutable" in answer["Cache-Control"]
        assert len(answer.getvalue()) == media.size == int(answer["Content-Length"])
        again = client.get(f"/media/{media.file.name}", headers={"If-None-Match": answer["ETag"]})
        assert again.status_code == 304

    @pytest.mark.parametrize(
        "path",
        [
            "/media/../keys/secret_key",
            "/media/%2e%2e/keys/secret_key",
            "/media/media/../../keys/secret_key",
            "/media//etc/passwd",
            "/media/media/2026/01/nothing.png",
            "/media/secret_key",
            "/media/avatars/nobody.png",
            "/media/media\\..\\x",
            "/media/",
        ],
    )
    def test_nothing_else_of_the_storage_is_served(
        self, client: Client, media: Media, path: str
    ) -> None:
        assert client.get(path).status_code == 404

    def test_a_stray_file_beside_the_pictures_is_not_served(
        self, client: Client, media: Media
    ) -> None:
        name = f"{media.file.name}.html"
        media.file.storage.save(name, a_picture())
        assert client.get(f"/media/{name}").status_code == 404

    @pytest.mark.django_db(transaction=True)
    def test_a_picture_of_a_post_is_loaded_from_this_host(
        self, client: Client, wall: SocialAccount, media: Media
    ) -> None:
        post = services.schedule_post(
            services.Draft(
                persona=wall.persona, accounts=[wall], media=[media], scheduled_at=timezone.now()
            ),
            by=None,
        )
        publishing.publish([post.deliveries.get().pk])
        page = client.get("/wall/luna/").content.decode()
        media.refresh_from_db()
        assert f'src="/media/{media.marked.name}" alt="Green" width="8" height="6"' in page
