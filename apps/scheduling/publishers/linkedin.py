"""LinkedIn: posts of a member or of an organisation (learn.microsoft.com/linkedin, Posts API).

Text is LinkedIn's "little text format": its signs are escaped, so that what was written is what is
shown, and hashtags become LinkedIn's own. Only organisations may list their posts; a member's lost
answer is left to a person.
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    CredentialField,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Posted,
    Receipt,
    Safety,
    Temporary,
    need_id,
)
from apps.scheduling.publishers.calling import host_of, within
from apps.scheduling.publishers.linkedin_text import little_text, plain
from apps.scheduling.publishers.oauth import OAuthPublisher, token_fields
from apps.scheduling.publishers.setup import Setup

# LinkedIn supports each monthly version for a year.
VERSION = "202609"
AUTHOR = re.compile(r"urn:li:(?:person|organization):[\w-]{1,60}", re.ASCII)
IMAGE = re.compile(r"urn:li:image:[\w-]{1,100}", re.ASCII)
MADE = re.compile(r"urn:li:(?:share|ugcPost):[\w-]{1,60}", re.ASCII)
UPLOAD_LIFE_SECONDS = 12 * 3_600
PROCESSING_SECONDS = 45.0
MOST_PAGES = 50
PAGE = 50
# Their clock and ours.
CLOCK_SKEW = timedelta(minutes=2)


class LinkedIn(OAuthPublisher):
    """Listable for organisations; LinkedIn refuses to list a member's posts, and a person looks."""

    label: ClassVar[str] = "LinkedIn"
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
        )

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
        images = dict(progress.get("images", {}))

        def keep(position: int, entry: dict[str, Any]) -> None:
            images[str(position)] = entry
            progress["images"] = dict(images)
            save(progress)

        for position, attachment in enumerate(outgoing.attachments):
            entry = images.get(str(position))
            if not entry or time.time() - entry["at"] > UPLOAD_LIFE_SECONDS:
                urn = self._upload(account, progress["author"], attachment)
                entry = {"id": urn, "at": int(time.time()), "ready": False}
                keep(position, entry)
            if not entry["ready"]:
                self._wait_until_processed(account, entry["id"], attachment)
                keep(position, {**entry, "ready": True})
        return progress

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
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

    def unpublish(self, account: Account, posted: Posted) -> None:
        path = f"/rest/posts/{quote(need_id(posted, self.label), safe='')}"
        headers = {"X-RestLi-Method": "DELETE"}
        gone = frozenset({"http_404"})
        self.delete(gone, lambda: self._call(account, "DELETE", path, headers=headers))

    def body(self, outgoing: Outgoing) -> dict[str, Any]:
        """The post as LinkedIn takes it."""
        images = outgoing.progress.get("images", {})
        author = outgoing.progress.get("author", "")
        if not author or len(images) < len(outgoing.attachments):
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

    # -- Images: ask for a place, put the bytes there, wait until they are taken in --------------

    def _upload(self, account: Account, author: str, attachment: Attachment) -> str:
        answer = self.read(
            self._call(
                account,
                "POST",
                "/rest/images?action=initializeUpload",
                json={"initializeUploadRequest": {"owner": author}},
            )
        )
        place = str(within(answer, "value", "uploadUrl") or "")
        urn = str(within(answer, "value", "image") or "")
        host = host_of(place)
        # The token goes along: nowhere but to LinkedIn.
        ours = host.endswith((".linkedin.com", ".licdn.com")) and place.startswith("https://")
        if not ours or not IMAGE.fullmatch(urn):
            self.malformed("it does not say where the image goes")
        headers = {"Content-Type": attachment.mime}
        content = attachment.read()
        self._call(account, "PUT", place, seconds=45, headers=headers, content=content)
        return urn

    def _wait_until_processed(self, account: Account, urn: str, attachment: Attachment) -> None:
        def ready() -> bool | None:
            answer = self._get(account, f"/rest/images/{quote(urn, safe='')}")
            status = within(answer, "status")
            if status == "PROCESSING_FAILED":
                words = f"LinkedIn could not process {attachment.name}."
                raise Permanent(words, code="media")
            return True if status == "AVAILABLE" else None

        self.until(ready, seconds=PROCESSING_SECONDS)

    # -- Calls ----------------------------------------------------------------------------------

    def _get(self, account: Account, path: str, **request: Any) -> Any:
        return self.read(self._call(account, "GET", path, **request))

    def _call(
        self,
        account: Account,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        def call(account: Account) -> httpx.Response:
            url = path if path.startswith("https://") else f"{self.server(account)}{path}"
            sent = {
                **self.authorization(account),
                "LinkedIn-Version": VERSION,
                "X-Restli-Protocol-Version": "2.0.0",
                **(headers or {}),
            }
            return self.call(account, method, url, headers=sent, **request)

        return self.signed_in(account, call)

    def renewal(self, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        client = self.client_of(seen)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": str(seen.get("refresh_token", "")).strip(),
            "client_id": client.id,
            "client_secret": client.secret,
        }
        return {"data": form}


def _receipt(urn: str) -> Receipt:
    return Receipt(remote_id=urn, url=f"https://www.linkedin.com/feed/update/{urn}/")
