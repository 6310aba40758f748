"""Mastodon and the servers that speak its API: GoToSocial, Pleroma, Akkoma, Takahe, Pixelfed.

Many of them ignore Idempotency-Key, so it is sent but not relied on: after a crash our own posts
are listed and compared. Scheduling is never left to the server, since some publish at once.
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from apps.scheduling.publishers import mastodon_text
from apps.scheduling.publishers.base import (
    MOST_REPLIES,
    Account,
    Attachment,
    CredentialField,
    Echo,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Posted,
    Receipt,
    Safety,
    Temporary,
    VideoLimits,
    count_of,
    need_id,
)
from apps.scheduling.publishers.calling import (
    VIDEO_PROCESSING_SECONDS,
    Flow,
    moment_of,
    upload_seconds,
    within,
)
from apps.scheduling.publishers.connecting import EXCHANGE_SECONDS, Client, Connecting, Way
from apps.scheduling.publishers.mastodon_public import PublicMastodon, reply_of
from apps.scheduling.publishers.media import MP4_AND_MOV
from apps.scheduling.publishers.setup import Setup

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
# A server removes media that no post uses after a day.
UPLOAD_LIFE_SECONDS = 12 * 3_600
PROCESSING_SECONDS = 60.0
MOST_PAGES = 50
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


class Mastodon(Connecting, PublicMastodon):
    """Listable: what an unanswered call left behind is found among the account's own posts."""

    label: ClassVar[str] = "Mastodon"
    safety: ClassVar[Safety] = Safety.LISTABLE
    needs_server: ClassVar[bool] = True
    replies: ClassVar[bool] = True
    # Servers before 4.3 and most others that speak this API overlook the challenge.
    pkce: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = (
        "read:accounts",
        "read:statuses",
        "write:media",
        "write:statuses",
    )
    setup: ClassVar[Setup] = Setup(
        account="Any account; many servers want bots marked as such in the profile.",
        app="None: Gator registers itself with the server.",
        rights=scopes,
        steps=("Enter the address of the account's server and sign in there.",),
        page="https://docs.joinmastodon.org/client/token/",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="access_token",
            label="Access token",
            help="On your server: Preferences, Development, New application; tick "
            "read:accounts, read:statuses, write:media and write:statuses, save, open the "
            "application and copy “Your access token”.",
        ),
    )

    def limits(self, account: Account) -> Limits:
        facts = account.facts
        return Limits(
            characters=facts.get("characters", 500),
            images=facts.get("images", 4),
            image_bytes=facts.get("image_bytes", 10_485_760),
            image_types=frozenset(facts.get("image_types", IMAGE_TYPES)),
            alt_characters=facts.get("alt_characters", 1_500),
            video=VideoLimits(
                types=frozenset(facts.get("video_types", MP4_AND_MOV)),
                bytes=facts.get("video_bytes", 103_809_024),
            ),
        )

    def count(self, text: str, account: Account) -> int:
        return mastodon_text.length(
            text,
            url_length=account.facts.get("url_characters", 23),
            by_graphemes=account.facts.get("counts") != "code points",
        )

    def test(self, account: Account) -> Identity:
        me = self._get(account, "/api/v1/accounts/verify_credentials")
        if not isinstance(me, dict) or not me.get("id") or not me.get("username"):
            self.malformed("it does not say who we are")
        try:
            instance = self._get(account, "/api/v2/instance")
        except Permanent:
            instance = self._get(account, "/api/v1/instance")
        host = urlsplit(self.server(account)).hostname or ""
        told = instance if isinstance(instance, dict) else {}
        domain = str(told.get("domain") or told.get("uri") or "").split("://")[-1].strip("/")
        if not re.fullmatch(r"[\w.-]{1,200}(:\d{1,5})?", domain):
            domain = host
        url = str(me.get("url") or "")
        return Identity(
            handle=f"@{str(me['username'])[:100]}@{domain}",
            remote_id=str(me["id"])[:100],
            url=url[:500] if url.startswith(("https://", "http://")) else "",
            facts={"id": str(me["id"])[:100], **facts_of(told)},
        )

    # -- Signing in -----------------------------------------------------------------------------

    def register(self, server: str, redirect: str) -> Client:
        """Gator as a program of this server; made anew for each sign-in, so nothing goes stale."""
        asking = Account(id="", handle="", server=server)
        form = {
            "client_name": "Gator",
            "redirect_uris": redirect,
            "scopes": " ".join(self.scopes),
        }
        address = f"{self.server(asking)}/api/v1/apps"
        answer = self.read(self.call(asking, "POST", address, seconds=EXCHANGE_SECONDS, data=form))
        number, secret = (within(answer, name) for name in ("client_id", "client_secret"))
        if not all(isinstance(each, str) and 0 < len(each) <= 500 for each in (number, secret)):
            self.malformed("it does not register programs")
        return Client(id=number, secret=secret)

    def pages(self, way: Way) -> tuple[str, str]:
        server = self.server(Account(id="", handle="", server=way.server))
        return f"{server}/oauth/authorize", f"{server}/oauth/token"

    # -- Publishing -----------------------------------------------------------------------------

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        progress = dict(outgoing.progress)
        media = dict(progress.get("media", {}))

        def keep(position: int, entry: dict[str, Any]) -> None:
            media[str(position)] = entry
            progress["media"] = dict(media)
            save(progress)

        for position, attachment in enumerate(outgoing.attachments):
            entry = media.get(str(position))
            if not entry or time.time() - entry["at"] > UPLOAD_LIFE_SECONDS:
                entry = self._upload(account, attachment, partial(save, dict(progress)))
                keep(position, entry)
            if not entry["ready"]:
                self._wait_until_processed(account, entry["id"], attachment)
                keep(position, {**entry, "ready": True})
        return progress

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        media = outgoing.progress.get("media", {})
        if len(media) < len(outgoing.attachments):
            raise Temporary("An image is not uploaded yet.", code="not_prepared")
        # Plain text, said aloud: elsewhere an account's default may be Markdown.
        body: dict[str, Any] = {"status": outgoing.full_text, "content_type": "text/plain"}
        if outgoing.attachments:
            body["media_ids"] = [media[str(n)]["id"] for n in range(len(outgoing.attachments))]
        if outgoing.reply_to:
            body["in_reply_to_id"] = outgoing.reply_to.id
        if LANGUAGE.fullmatch(outgoing.language):
            body["language"] = outgoing.language
        response = self.call(
            account,
            "POST",
            f"{self.server(account)}/api/v1/statuses",
            publishing=True,
            json=body,
            headers={**self._authorization(account), "Idempotency-Key": outgoing.key},
        )
        status = self.read(response, publishing=True)
        receipt = receipt_of(status)
        # A status we did not schedule has no "scheduled_at"; one that has is not visible.
        if receipt is None or status.get("scheduled_at"):
            self.malformed("it does not name our post", publishing=True)
        return receipt

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        # Who we are may have changed with the token: ask, do not trust the last test.
        me = self._get(account, "/api/v1/accounts/verify_credentials")
        if not isinstance(me, dict) or not re.fullmatch(r"[\w-]{1,100}", str(me.get("id", ""))):
            self.malformed("it does not say who we are")
        wanted = mastodon_text.Wanted(outgoing.full_text)
        seen: set[str] = set()
        query: dict[str, str | int] = {"limit": 40, "exclude_reblogs": "true"}
        for _ in range(MOST_PAGES):
            path = f"/api/v1/accounts/{me['id']}/statuses?{urlencode(query)}"
            response = self._answer(account, path)
            page = self.read(response)
            if not isinstance(page, list) or not all(isinstance(each, dict) for each in page):
                self.malformed("its list of posts is no list")
            new = [each for each in page if str(each.get("id")) not in seen]
            if not page:
                return None
            if not new:
                self.malformed("it lists the same posts again and again")
            start = since + _skew(response)
            moments = [moment_of(each.get("created_at")) for each in new]
            for status, moment in zip(new, moments, strict=True):
                if moment is None:
                    self.malformed("one of its posts has no date")
                if moment >= start and self._is_ours(status, wanted, outgoing):
                    return receipt_of(status)
            if all(moment < start for moment in moments if moment):
                return None
            seen.update(str(each.get("id")) for each in new)
            query["max_id"] = str(new[-1].get("id"))
        raise Temporary(
            f"{self.label}: the account has posted too much since to look it all through.",
            code="too_many_posts",
        )

    def unpublish(self, account: Account, posted: Posted) -> None:
        number = quote(need_id(posted, self.label), safe="")
        url = f"{self.server(account)}/api/v1/statuses/{number}"
        headers = self._authorization(account)
        gone = frozenset({"http_404", "http_410"})
        self.delete(gone, lambda: self.call(account, "DELETE", url, headers=headers))

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        number = quote(need_id(posted, self.label), safe="")
        status = self._get(account, f"/api/v1/statuses/{number}")
        if not isinstance(status, dict) or not status.get("id"):
            self.malformed("it does not show our post")
        context = self._get(account, f"/api/v1/statuses/{number}/context")
        below = within(context, "descendants")
        listed = below if isinstance(below, list) else []
        found = [reply_of(each) for each in listed[:MOST_REPLIES]]
        return Echo(
            likes=count_of(status.get("favourites_count")),
            comments=count_of(status.get("replies_count")),
            shares=count_of(status.get("reblogs_count")),
            replies=tuple(each for each in found if each is not None),
        )

    def _is_ours(
        self, status: Mapping[str, Any], wanted: mastodon_text.Wanted, outgoing: Outgoing
    ) -> bool:
        media = status.get("media_attachments") or []
        follows = outgoing.reply_to.id if outgoing.reply_to else ""
        return (
            not status.get("reblog")
            and str(status.get("in_reply_to_id") or "") == follows
            and isinstance(media, list)
            and len(media) == len(outgoing.attachments)
            and wanted.matches(str(status.get("content") or ""))
            and receipt_of(status) is not None
        )

    # -- Media ----------------------------------------------------------------------------------

    def _upload(
        self, account: Account, attachment: Attachment, alive: Callable[[], None]
    ) -> dict[str, Any]:
        name = re.sub(r"[^\w.-]", "_", attachment.name, flags=re.ASCII)[-100:] or "image"
        with attachment.open() as file:
            response = self.call(
                account,
                "POST",
                f"{self.server(account)}/api/v2/media",
                seconds=upload_seconds(attachment),
                headers=self._authorization(account),
                files={"file": (name, Flow(file, alive), attachment.mime)},
                data={"description": attachment.alt} if attachment.alt else {},
            )
        answer = self.read(response)
        if not isinstance(answer, dict) or not re.fullmatch(
            r"[\w-]{1,100}", str(answer.get("id", ""))
        ):
            self.malformed("it does not name the uploaded image")
        return {
            "id": str(answer["id"]),
            "at": int(time.time()),
            "ready": response.status_code != 202,
        }

    def _wait_until_processed(
        self, account: Account, media_id: str, attachment: Attachment
    ) -> None:
        def ready() -> bool | None:
            answer = self._answer(account, f"/api/v1/media/{media_id}")
            return None if answer.status_code == 206 else True

        seconds = VIDEO_PROCESSING_SECONDS if attachment.is_video else PROCESSING_SECONDS
        self.until(ready, seconds=seconds)

    # -- Calls ----------------------------------------------------------------------------------

    def _get(self, account: Account, path: str) -> Any:
        return self.read(self._answer(account, path))

    def _answer(self, account: Account, path: str) -> httpx.Response:
        url = f"{self.server(account)}{path}"
        return self.call(account, "GET", url, headers=self._authorization(account))

    def _authorization(self, account: Account) -> dict[str, str]:
        token = str(account.credentials.get("access_token", "")).strip()
        return {"Authorization": f"Bearer {token}"}


def facts_of(instance: Mapping[str, Any]) -> dict[str, Any]:
    """The limits a server tells of itself, in today's or yesterday's spelling; no nonsense."""

    def number(*path: str) -> int | None:
        value: Any = instance
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        sane = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9
        return value if sane else None

    statuses, media = ("configuration", "statuses"), ("configuration", "media_attachments")
    types = instance.get("configuration")
    for name in ("media_attachments", "supported_mime_types"):
        types = types.get(name) if isinstance(types, dict) else None
    listed = types if isinstance(types, list) else []
    version = str(instance.get("version") or "")[:100]
    facts = {
        "characters": number(*statuses, "max_characters") or number("max_toot_chars"),
        "url_characters": number(*statuses, "characters_reserved_per_url"),
        "images": number(*statuses, "max_media_attachments"),
        "image_bytes": number(*media, "image_size_limit") or number("upload_limit"),
        "alt_characters": number(*media, "description_limit") or number("description_limit"),
        "image_types": [t for t in listed[:50] if t in IMAGE_TYPES],
        "video_types": [t for t in listed[:50] if t in MP4_AND_MOV],
        "video_bytes": number(*media, "video_size_limit") or number("upload_limit"),
        "version": version,
        # Only Mastodon itself and its forks are known to count what a reader sees.
        "counts": None if re.fullmatch(r"\d+\.\d+\.\d+[\w.+-]*", version) else "code points",
    }
    return {name: value for name, value in facts.items() if value}


def receipt_of(status: Any) -> Receipt | None:
    """The receipt for a status, or None where the answer is not one."""
    if not isinstance(status, dict) or not status.get("id"):
        return None
    url = str(status.get("url") or status.get("uri") or "")
    sane = url.startswith(("https://", "http://")) and len(url) <= 1_000
    return Receipt(remote_id=str(status["id"])[:500], url=url if sane else "")


def _skew(response: httpx.Response) -> timedelta:
    """How far the server's clock is ahead of ours."""
    try:
        told = parsedate_to_datetime(response.headers.get("date", ""))
        return told - datetime.now(UTC)
    except (ValueError, TypeError):
        return timedelta()
