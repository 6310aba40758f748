"""Discord: a channel's own webhook (discord.com/developers/docs/resources/webhook).

The address of the webhook is the secret. `wait=true` makes Discord answer with the message it
made. Nobody is ever pinged: a persona's text may hold @everyone by accident.
"""

import json
import re
from contextlib import ExitStack
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from apps.scheduling.publishers.base import (
    Account,
    CredentialField,
    Identity,
    Limits,
    NeedsReconnect,
    Outgoing,
    Permanent,
    Posted,
    Problem,
    PublishError,
    Receipt,
    Safety,
    VideoLimits,
    need_id,
)
from apps.scheduling.publishers.calling import HttpPublisher, within
from apps.scheduling.publishers.setup import Setup

ADDRESS = re.compile(
    r"https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com/api(?:/v\d{1,2})?/webhooks/"
    r"(\d{5,25})/([\w-]{20,100})/?",
    re.ASCII,
)
# One message's files together, where the server has no boosts.
MOST_BYTES = 10 * 1024 * 1024
FILES_SECONDS = 40
UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK, INVALID_TOKEN = 10008, 10015, 50027


class Discord(HttpPublisher):
    """Blind: a webhook reads a message of its own only by an id that the lost answer held."""

    label: ClassVar[str] = "Discord"
    safety: ClassVar[Safety] = Safety.BLIND
    no_replies: ClassVar[str] = "Discord's webhooks cannot reply."
    setup: ClassVar[Setup] = Setup(
        account="A channel of a server.",
        rights=("Manage Webhooks",),
        steps=(
            "In the channel's settings: Integrations, Webhooks, New webhook, Copy webhook URL.",
            "Enter that address by hand; whoever knows it can post there.",
        ),
        page="https://support.discord.com/hc/en-us/articles/228383668",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="webhook",
            label="Webhook URL",
            help="In Discord: the channel's settings, Integrations, Webhooks, New Webhook, Copy "
            "Webhook URL. Whoever knows it can post there; deleting the webhook withdraws it.",
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=2_000,
            images=10,
            image_bytes=MOST_BYTES,
            image_types=frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"}),
            alt_characters=1_024,
            video=VideoLimits(most=10, bytes=MOST_BYTES, beside_pictures=True),
        )

    def count(self, text: str, account: Account) -> int:
        # In UTF-16 code units, the strictest of the ways in which Discord's clients count.
        return len(text.encode("utf-16-le")) // 2

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        problems = super().check(account, outgoing)
        together = sum(each.size for each in outgoing.attachments)
        if together > MOST_BYTES and len(outgoing.attachments) > 1:
            words = f"Discord takes {MOST_BYTES:,} bytes per message; these are {together:,}."
            problems.append(Problem(field="media", code="media_too_large", message=words))
        return problems

    def test(self, account: Account) -> Identity:
        answer = self.read(self.call(account, "GET", _address(account)))
        number, name = str(within(answer, "id") or ""), str(within(answer, "name") or "")
        if not number.isdecimal():
            self.malformed("it does not describe the webhook")
        facts = {key: _number(answer, key) for key in ("guild_id", "channel_id")}
        page = f"https://discord.com/channels/{facts['guild_id']}/{facts['channel_id']}"
        return Identity(
            handle=name[:100] or number,
            remote_id=number,
            url=page if all(facts.values()) else "",
            facts={key: value for key, value in facts.items() if value},
        )

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        message: dict[str, Any] = {"allowed_mentions": {"parse": []}}
        if text := outgoing.full_text:
            message["content"] = text
        url, files = f"{_address(account)}?wait=true", outgoing.attachments
        with ExitStack() as stack:
            request: dict[str, Any] = {"json": message}
            if files:
                names = [
                    f"{'video' if each.is_video else 'picture'}{n}.{each.extension}"
                    for n, each in enumerate(files)
                ]
                message["attachments"] = [
                    {"id": n, "filename": name, **({"description": each.alt} if each.alt else {})}
                    for n, (name, each) in enumerate(zip(names, files, strict=True))
                ]
                sent = {
                    f"files[{n}]": (name, stack.enter_context(each.open()), each.mime)
                    for n, (name, each) in enumerate(zip(names, files, strict=True))
                }
                payload = json.dumps(message, ensure_ascii=False)
                request = {"data": {"payload_json": payload}, "files": sent}
                request["seconds"] = FILES_SECONDS
            response = self.call(account, "POST", url, publishing=True, **request)
        answer = self.read(response, publishing=True)
        number, channel = _number(answer, "id"), _number(answer, "channel_id")
        if not number:
            self.malformed("it does not name our message", publishing=True)
        guild = str(account.facts.get("guild_id", ""))
        page = f"https://discord.com/channels/{guild}/{channel}/{number}"
        return Receipt(remote_id=number, url=page if guild and channel else "")

    def unpublish(self, account: Account, posted: Posted) -> None:
        number = quote(need_id(posted, self.label), safe="")
        url = f"{_address(account)}/messages/{number}"
        gone = frozenset({"unknown_message"})
        self.delete(gone, lambda: self.call(account, "DELETE", url))

    def said(self, response: httpx.Response) -> tuple[str, str]:
        _, words = super().said(response)
        return "", words

    def wait(self, response: httpx.Response) -> float | None:
        # The body is exact to the millisecond; the header is rounded.
        try:
            told = within(response.json(), "retry_after")
        except (ValueError, RecursionError):
            told = None
        plain = isinstance(told, (int, float)) and 0 <= told <= 86_400
        return float(told) if plain else super().wait(response)

    def refusal(
        self, account: Account, response: httpx.Response, *, publishing: bool
    ) -> PublishError:
        error = super().refusal(account, response, publishing=publishing)
        try:
            code = within(response.json(), "code")
        except (ValueError, RecursionError):
            code = None
        if code == UNKNOWN_MESSAGE:
            return Permanent("Discord no longer has this message.", code="unknown_message")
        if response.status_code == 404 or code in (UNKNOWN_WEBHOOK, INVALID_TOKEN):
            words = "Discord no longer has this webhook; make a new one and give its URL."
            return NeedsReconnect(words, code="unknown_webhook")
        return error


def _address(account: Account) -> str:
    """The webhook's address, once it is surely Discord's: it is where the post is sent."""
    given = str(account.credentials.get("webhook", "")).strip().partition("?")[0]
    if not (match := ADDRESS.fullmatch(given)):
        raise NeedsReconnect("This is no webhook URL of Discord.", code="bad_webhook")
    return f"https://discord.com/api/v10/webhooks/{match[1]}/{match[2]}"


def _number(answer: Any, name: str) -> str:
    """A snowflake, which Discord writes as text."""
    value = str(within(answer, name) or "")
    return value if re.fullmatch(r"\d{1,25}", value, re.ASCII) else ""
