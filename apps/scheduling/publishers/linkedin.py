"""LinkedIn: posts of a member or of an organisation (learn.microsoft.com/linkedin, Posts API).

Text is LinkedIn's "little text format": its signs are escaped, so that what was written is what is
shown, and hashtags become LinkedIn's own. Only organisations may list their posts; a member's lost
answer is left to a person. A later part is a comment under the post.
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from apps.scheduling.publishers.base import (
    Account,
    CredentialField,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Posted,
    Receipt,
    Safety,
    Temporary,
    VideoLimits,
    need_id,
)
from apps.scheduling.publishers.calling import within
from apps.scheduling.publishers.linkedin_media import UPLOAD_LIFE_SECONDS, LinkedInMedia
from apps.scheduling.publishers.linkedin_text import little_text, plain
from apps.scheduling.publishers.media import MP4
from apps.scheduling.publishers.oauth import token_fields
from apps.scheduling.publishers.setup import Setup

AUTHOR = re.compile(r"urn:li:(?:person|organization):[\w-]{1,60}", re.ASCII)
COMMENT = re.compile(r"urn:li:comment:\((urn:li:\w+:[\w-]{1,60}),(\d{1,30})\)", re.ASCII)
MADE = re.compile(r"urn:li:(?:share|ugcPost):[\w-]{1,60}", re.ASCII)
MOST_PAGES = 50
PAGE = 50
# Their clock and ours.
CLOCK_SKEW = timedelta(minutes=2)


class LinkedIn(LinkedInMedia):
    """Listable for organisations; LinkedIn refuses to list a member's posts, and a person looks."""

    label: ClassVar[str] = "LinkedIn"
    replies: ClassVar[bool] = True
    comments: ClassVar[bool] = True
    safety: ClassVar[Safety] = Safety.LISTABLE
    default_server: ClassVar[str] = "https://api.linkedin.com"
    token_url: ClassVar[str] = "https://www.linkedin.com/oauth/v2/accessToken"
    client_name: ClassVar[str] = "linkedin"
    authorize_url: ClassVar[str] = "https://www.linkedin.com/oauth/v2/authorization"
    scopes: ClassVar[tuple[str, ...]] = ("openid", "profile", "w_member_social")
    setup: ClassVar[Setup] = Setup(
        account="A member's. Pages take a token made by hand, with w_organization_social and "
        "r_organization_social; signing in here connects members only.",
        app="An app on linkedin.com/developers that belongs to a company page.",
        review="For members none; for pages LinkedIn reviews the Community Management API.",
        rights=scopes,
        steps=(
            "Make the app and let an administrator of the company page confirm it.",
            "Under “Products” add “Share on LinkedIn” and “Sign In with LinkedIn using OpenID "
            "Connect”.",
            "Under “Auth” add the redirect address shown here.",
            "Copy client ID and client secret into the settings named here; restart.",
        ),
        page="https://www.linkedin.com/developers/apps",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        *token_fields(
            "On linkedin.com/developers: your app, Auth, OAuth 2.0 tools, Create token, with "
            "openid, profile and w_member_social (a page: w_organization_social and "
            "r_organization_social, which LinkedIn reviews). It lasts two months."
        ),
        CredentialField(
            name="author",
            label="Page",
            help="To post as a page: urn:li:organization: and the number in the page's admin "
            "address. Empty: as the member whose token it is.",
            secret=False,
            required=False,
        ),
        CredentialField(
            name="client_id",
            label="Client ID",
            help="On linkedin.com/developers: your app, Auth. Needed only to renew tokens.",
            secret=False,
            required=False,
        ),
        CredentialField(
            name="client_secret",
            label="Client secret",
            help="Beside the client ID. Needed only to renew tokens.",
            required=False,
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=3_000,
            images=20,
            image_bytes=10_000_000,
            image_types=frozenset({"image/jpeg", "image/png", "image/gif"}),
            alt_characters=4_086,
            video=VideoLimits(types=MP4, bytes=500_000_000, shortest=3, longest=1_800),
        )

    def later_limits(self, account: Account) -> Limits:
        return Limits(characters=1_250)

    def count(self, text: str, account: Account) -> int:
        # In UTF-16 code units, the stricter reading: the documentation says "characters".
        return len(text.encode("utf-16-le")) // 2

    def test(self, account: Account) -> Identity:
        author, name = self._author(account)
        page = author.rsplit(":", 1)[-1]
        is_page = ":organization:" in author
        url = f"https://www.linkedin.com/company/{page}/" if is_page else ""
        return Identity(handle=name or account.handle, remote_id=author, url=url)

    def _author(self, account: Account) -> tuple[str, str]:
        """Whom the post is by, and the name of whose token it is."""
        given = str(account.credentials.get("author", "")).strip()
        if given and not AUTHOR.fullmatch(given):
            raise Permanent("The page is not written as urn:li:organization:…", code="bad_page")
        if ":organization:" in given:
            path = f"/rest/organizations/{given.rsplit(':', 1)[-1]}"
            return given, str(within(self._get(account, path), "localizedName") or "")[:100]
        me = self._get(account, "/v2/userinfo")
        author = f"urn:li:person:{within(me, 'sub')}"
        if not within(me, "sub") or not AUTHOR.fullmatch(author):
            self.malformed("it does not say who we are")
        return author, str(within(me, "name") or "")[:100]

    # -- Publishing -----------------------------------------------------------------------------

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        progress = dict(outgoing.progress)
        if "author" not in progress:
            progress["author"] = self._author(account)[0]
            save(progress)
        if outgoing.attachments and outgoing.attachments[0].is_video:
            self.upload_video(account, outgoing.attachments[0], progress, save)
            return progress
        images = dict(progress.get("images", {}))

        def keep(position: int, entry: dict[str, Any]) -> None:
            images[str(position)] = entry
            progress["images"] = dict(images)
            save(progress)

        for position, attachment in enumerate(outgoing.attachments):
            entry = images.get(str(position))
            if not entry or time.time() - entry["at"] > UPLOAD_LIFE_SECONDS:
                urn = self.upload_image(account, progress["author"], attachment)
                entry = {"id": urn, "at": int(time.time()), "ready": False}
                keep(position, entry)
            if not entry["ready"]:
                self.wait_until_processed(account, entry["id"], attachment)
                keep(position, {**entry, "ready": True})
        return progress

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        if outgoing.reply_to:
            return self._comment(account, outgoing)
        body = self.body(outgoing)
        try:
            response = self._call(
                account, "POST", "/rest/posts", publishing=True, seconds=20, json=body
            )
        except Permanent as error:
            if "duplicate" not in f"{error.code} {error}".lower():
                raise
            # Frozen before the first attempt: an earlier try of ours is not older than that.
            receipt = self.find(account, outgoing, outgoing.created_at - CLOCK_SKEW)
            if receipt is None:
                raise
            return receipt
        urn = response.headers.get("x-restli-id", "")
        if not MADE.fullmatch(urn):
            self.malformed("it does not name our post", publishing=True)
        return _receipt(urn)

    def _comment(self, account: Account, outgoing: Outgoing) -> Receipt:
        """Write a later part under the first one."""
        post, author = _root(outgoing), outgoing.progress.get("author", "")
        if not author:
            raise Temporary("The comment is not prepared yet.", code="not_prepared")
        body = {"actor": author, "object": post, "message": {"text": outgoing.full_text}}
        path = f"/rest/socialActions/{quote(post, safe='')}/comments"
        response = self._call(account, "POST", path, publishing=True, seconds=20, json=body)
        number = response.headers.get("x-restli-id", "")
        if not re.fullmatch(r"\d{1,30}", number, re.ASCII):
            self.malformed("it does not name our comment", publishing=True)
        return _receipt_of_comment(post, number)

    def _find_comment(
        self, account: Account, outgoing: Outgoing, since: datetime
    ) -> Receipt | None:
        post, author = _root(outgoing), outgoing.progress.get("author")
        if not author:
            return None  # Nothing was sent: the author is kept before anything is.
        wanted = plain(outgoing.full_text)
        for page in range(MOST_PAGES):
            query = urlencode({"start": str(page * PAGE), "count": str(PAGE)})
            path = f"/rest/socialActions/{quote(post, safe='')}/comments?{query}"
            rows = within(self._get(account, path), "elements")
            if not isinstance(rows, list):
                self.malformed("its list of comments is no list")
            for row in rows:
                number = str(within(row, "id") or "")
                same = plain(str(within(row, "message", "text") or "")) == wanted
                if same and within(row, "actor") == author and number.isdecimal():
                    return _receipt_of_comment(post, number)
            if len(rows) < PAGE:
                return None
        raise Temporary("LinkedIn: too many comments to look through.", code="too_many_comments")

    def unpublish(self, account: Account, posted: Posted) -> None:
        number = need_id(posted, self.label)
        path = f"/rest/posts/{quote(number, safe='')}"
        if match := COMMENT.fullmatch(number):
            actor = quote(str(posted.progress.get("author") or self._author(account)[0]), safe="")
            post = quote(match[1], safe="")
            path = f"/rest/socialActions/{post}/comments/{match[2]}?actor={actor}"
        headers = {"X-RestLi-Method": "DELETE"}
        gone = frozenset({"http_404"})
        self.delete(gone, lambda: self._call(account, "DELETE", path, headers=headers))

    def body(self, outgoing: Outgoing) -> dict[str, Any]:
        """The post as LinkedIn takes it."""
        images, video = outgoing.progress.get("images", {}), outgoing.progress.get("video", {})
        author = outgoing.progress.get("author", "")
        is_video = any(each.is_video for each in outgoing.attachments)
        ready = video.get("ready") if is_video else len(images) >= len(outgoing.attachments)
        if not author or not ready:
            raise Temporary("The post is not prepared yet.", code="not_prepared")
        body: dict[str, Any] = {
            "author": author,
            "commentary": little_text(outgoing.full_text),
            "visibility": "PUBLIC",
            "distribution": {
                "feedDistribution": "MAIN_FEED",
                "targetEntities": [],
                "thirdPartyDistributionChannels": [],
            },
            "lifecycleState": "PUBLISHED",
            "isReshareDisabledByAuthor": False,
        }
        if is_video:
            body["content"] = {"media": {"id": video["id"]}}
            return body
        media = [
            {"id": images[str(n)]["id"], **({"altText": each.alt} if each.alt else {})}
            for n, each in enumerate(outgoing.attachments)
        ]
        if len(media) == 1:
            body["content"] = {"media": media[0]}
        elif media:
            body["content"] = {"multiImage": {"images": media}}
        elif outgoing.link:
            # LinkedIn does not read the page for a post that comes over its API.
            title = urlsplit(outgoing.link).hostname or outgoing.link
            body["content"] = {"article": {"source": outgoing.link, "title": title}}
        return body

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        if outgoing.reply_to:
            return self._find_comment(account, outgoing, since)
        author = outgoing.progress.get("author") or self._author(account)[0]
        wanted = plain(little_text(outgoing.full_text))
        for page in range(MOST_PAGES):
            query = {
                "author": author,
                "q": "author",
                "count": str(PAGE),
                "start": str(page * PAGE),
                "sortBy": "CREATED",
            }
            headers = {"X-RestLi-Method": "FINDER"}
            answer = self._get(account, f"/rest/posts?{urlencode(query)}", headers=headers)
            posts = within(answer, "elements")
            if not isinstance(posts, list):
                self.malformed("its list of posts is no list")
            for post in posts:
                created, urn = within(post, "createdAt"), str(within(post, "id") or "")
                if not isinstance(created, int) or not 0 < created < 10**14:
                    self.malformed("one of its posts has no date")
                if datetime.fromtimestamp(created / 1_000, UTC) < since:
                    return None
                if MADE.fullmatch(urn) and plain(str(within(post, "commentary") or "")) == wanted:
                    return _receipt(urn)
            if len(posts) < PAGE:
                return None
        raise Temporary("LinkedIn: too many posts to look them all through.", code="too_many_posts")


def _receipt(urn: str) -> Receipt:
    return Receipt(remote_id=urn, url=f"https://www.linkedin.com/feed/update/{urn}/")


def _root(outgoing: Outgoing) -> str:
    """The post that a later part is written under."""
    post = outgoing.reply_to.root if outgoing.reply_to else ""
    if not MADE.fullmatch(post):
        raise Permanent("The post to comment on has no id.", code="no_reply_id")
    return post


def _receipt_of_comment(post: str, number: str) -> Receipt:
    urn = f"urn:li:comment:({post},{number})"
    url = f"https://www.linkedin.com/feed/update/{post}/?commentUrn={quote(urn, safe='')}"
    return Receipt(remote_id=urn, url=url)
