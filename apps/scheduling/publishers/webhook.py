"""Webhook: each post as one signed POST to an address of yours (Standard Webhooks).

    POST <server>
    content-type: application/json
    webhook-id: <key>               the same at every try of this post: take each id once
    webhook-timestamp: 1791234567   seconds; refuse what is older than a few minutes
    webhook-signature: v1,<base64 of HMAC-SHA256(secret, "<id>.<timestamp>.<body>")>

    {"type": "post.published",      or "ping", which asks only for a 2xx
     "timestamp": "2026-11-22T21:00:00.000Z",
     "data": {"id": "<key>", "handle": "...", "text": "...", "full_text": "...", "link": "...",
              "hashtags": ["..."], "language": "en", "made_with_ai": true,
              "reply_to": "<id of the part before>",     only where it continues a thread
              "media": [{"url": "...", "name": "...", "mime": "image/jpeg", "size": 1,
                         "width": 1, "height": 1, "alt": "...", "sha256": "...",
                         "seconds": 12.5}]}}              only of a video

`text` is what was written; `full_text` has the link and the hashtags too. Any 2xx means "taken";
a JSON answer may give "id" and "url", which Gator then shows. 410 means "send no more".
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx

from apps.scheduling.publishers.base import (
    Account,
    CredentialField,
    Identity,
    Limits,
    NeedsReconnect,
    Outgoing,
    PublishError,
    Receipt,
    Safety,
    VideoLimits,
)
from apps.scheduling.publishers.calling import HttpPublisher
from apps.scheduling.publishers.setup import Setup


class Webhook(HttpPublisher):
    """Keyed by webhook-id: the receiver takes each id once."""

    label: ClassVar[str] = "Webhook"
    safety: ClassVar[Safety] = Safety.KEYED
    needs_server: ClassVar[bool] = True
    replies: ClassVar[bool] = True
    setup: ClassVar[Setup] = Setup(
        account="A receiver of your own that checks Standard Webhooks signatures.",
        steps=("Enter its address and the signing secret by hand.",),
        page="https://www.standardwebhooks.com",
        tried="There is no live service; in the test suite, against a stand-in.",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="secret",
            label="Signing secret",
            help="Base64 of 24 to 64 random bytes, with or without whsec_ in front; the receiver "
            "checks our signature with it. To make one: openssl rand -base64 32",
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(images=20, video=VideoLimits(most=20, beside_pictures=True))

    def ai_mark(self, *, media: bool) -> str:
        return "network_flag"

    def test(self, account: Account) -> Identity:
        now = datetime.now(UTC)
        key = f"ping-{self.new_key()}"
        self._post(account, key, body_of("ping", now, {"handle": account.handle}))
        return Identity(handle=account.handle)

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        data = {
            "id": outgoing.key,
            "handle": account.handle,
            "text": outgoing.text,
            "full_text": outgoing.full_text,
            "link": outgoing.link,
            "hashtags": list(outgoing.hashtags),
            "language": outgoing.language,
            "made_with_ai": outgoing.made_with_ai,
            **({"reply_to": outgoing.reply_to.id} if outgoing.reply_to else {}),
            "media": [
                {
                    "url": each.url,
                    "name": each.name,
                    "mime": each.mime,
                    "size": each.size,
                    "width": each.width,
                    "height": each.height,
                    "alt": each.alt,
                    "sha256": each.sha256,
                    **({"seconds": each.duration} if each.is_video else {}),
                }
                for each in outgoing.attachments
            ],
        }
        body = body_of("post.published", outgoing.created_at, data)
        return _receipt(outgoing.key, self._post(account, outgoing.key, body, publishing=True))

    def _post(
        self, account: Account, key: str, body: bytes, *, publishing: bool = False
    ) -> httpx.Response:
        moment = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(
                secret_of(account.credentials), key=key, moment=moment, body=body
            ),
        }
        return self.call(
            account,
            "POST",
            self.address(account),
            publishing=publishing,
            content=body,
            headers=headers,
        )

    def refusal(
        self, account: Account, response: httpx.Response, *, publishing: bool
    ) -> PublishError:
        if response.status_code == 410:
            return NeedsReconnect("The receiver wants no more posts (410).", code="gone")
        return super().refusal(account, response, publishing=publishing)


def body_of(kind: str, moment: datetime, data: Mapping[str, Any]) -> bytes:
    """The body to the byte: the same for the same post, since the signature covers it."""
    stamp = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    whole = {"type": kind, "timestamp": stamp, "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def secret_of(credentials: Mapping[str, Any]) -> bytes:
    """The signing key that the secret spells."""
    given = str(credentials.get("secret", "")).strip().removeprefix("whsec_")
    try:
        key = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise NeedsReconnect(
            "The signing secret is not base64 of at least 16 bytes.", code="bad_secret"
        )
    return key


def signature(secret: bytes, *, key: str, moment: int, body: bytes) -> str:
    """The webhook-signature header."""
    digest = hmac.new(secret, f"{key}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _receipt(key: str, response: httpx.Response) -> Receipt:
    """What the receiver says of the post, if it says anything; a 2xx alone is enough."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        answer = None
    told = answer if isinstance(answer, dict) else {}
    remote_id, url = told.get("id"), told.get("url")
    named = isinstance(remote_id, (str, int)) and 0 < len(str(remote_id)) <= 500
    if not isinstance(url, str) or not url.startswith(("https://", "http://")) or len(url) > 1_000:
        url = ""
    return Receipt(remote_id=str(remote_id) if named else key, url=url)
