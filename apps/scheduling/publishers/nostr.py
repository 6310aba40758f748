"""Nostr: notes signed by the persona's own key and handed to several relays (nips.nostr.com).

The event's id is the hash of what it says, when and by whom: computed before anything is sent, and
the same at every try. A relay that has it says "duplicate". There is no server to ask for leave and
none that could take a key back.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import structlog

from apps.core import http
from apps.scheduling.publishers.base import (
    Account,
    Attachment,
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
    Temporary,
    Unconfirmed,
    VideoLimits,
    need_id,
)
from apps.scheduling.publishers.calling import Flow, HttpPublisher, upload_seconds, within
from apps.scheduling.publishers.entities import hashtags
from apps.scheduling.publishers.nostr_event import (
    HEX,
    Event,
    Signer,
    bech32_encode,
    event_in,
    nevent,
    secret_of,
)
from apps.scheduling.publishers.nostr_relay import Relay, connected
from apps.scheduling.publishers.pulled import unreachable
from apps.scheduling.publishers.setup import Setup

log = structlog.get_logger(__name__)

T = TypeVar("T")
PROFILE, NOTE, DELETION, UPLOAD = 0, 1, 5, 24242
MOST_RELAYS = 10
RELAY_SECONDS = 15.0
# Relays take events of 64 KB as a rule; tags and signature are part of that.
MOST_BYTES = 30_000
# The delivery's key in every event: the same words in the same second are two posts.
KEY = "gator.key"


class Nostr(HttpPublisher):
    """Keyed by the event's id: the same event again is the same event."""

    label: ClassVar[str] = "Nostr"
    safety: ClassVar[Safety] = Safety.KEYED
    replies: ClassVar[bool] = True
    setup: ClassVar[Setup] = Setup(
        account="A key pair of the persona's own. Whoever has the private key is the persona, for "
        "ever: no relay can take it back.",
        cost="Free; some relays want to be paid before they take notes.",
        steps=(
            "Make a key pair in any Nostr app, write the persona's profile there, copy the private "
            "key (nsec1…).",
            "Choose two to five relays that take notes from anybody.",
            "Enter key and relays by hand. For pictures and videos give a Blossom server too, "
            "or let readers fetch them from this studio's own public address.",
        ),
        page="https://nostr.how/en/get-started",
        tried="Against a relay from PyPI in the test suite, not against the public relays.",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="private_key",
            label="Private key",
            help="As nsec1… or 64 hex digits. It cannot be withdrawn: make one for this persona "
            "alone.",
        ),
        CredentialField(
            name="relays",
            label="Relays",
            help=f"Up to {MOST_RELAYS} addresses with spaces between them, as in "
            "wss://relay.damus.io wss://nos.lol",
            secret=False,
        ),
        CredentialField(
            name="media_server",
            label="Media server",
            help="The https address of a Blossom server that keeps pictures and videos. Empty: "
            "readers fetch them from this studio, which must then be public.",
            secret=False,
            required=False,
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            bytes=account.facts.get("bytes", MOST_BYTES),
            images=10,
            image_types=frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"}),
            video=VideoLimits(most=10, beside_pictures=True),
        )

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        problems = super().check(account, outgoing)
        most = self.limits(account).bytes or MOST_BYTES
        size = len(_content(outgoing).encode())
        if size > most and not problems:
            words = f"Nostr takes {most:,} bytes; with the addresses of its media this is {size:,}."
            problems.append(Problem(field="text", code="text_too_long", message=words))
        if not _media_server(account):
            problems += unreachable(self.label, outgoing.attachments)
        return problems

    def id_in(self, url: str) -> str:
        return event_in(url)

    def test(self, account: Account) -> Identity:
        signer, relays = _signer(account), self._relays(account)
        _media_server(account)
        wanted = {"kinds": [PROFILE], "authors": [signer.public], "limit": 1}
        answers = self._everywhere(account, lambda relay: relay.ask(wanted))
        if not (reached := [url for url, answer in answers.items() if isinstance(answer, list)]):
            raise _worst(answers)
        told = [self._told(account, url) for url in relays]
        most = [each for each in told if each is not None]
        facts: dict[str, Any] = {"relays": reached}
        if most:
            facts["bytes"] = min(most)
        if server := _media_server(account):
            facts["media_server"] = server
        code = bech32_encode("npub", bytes.fromhex(signer.public))
        return Identity(
            handle=code, remote_id=signer.public, url=f"https://njump.me/{code}", facts=facts
        )

    def _told(self, account: Account, url: str) -> int | None:
        """How long a note may be by the relay's own description (NIP-11), if it says."""
        address = "http" + url.removeprefix("ws")
        headers = {"Accept": "application/nostr+json"}
        try:
            answer = self.read(self.call(account, "GET", address, seconds=5, headers=headers))
        except PublishError:
            return None
        # It counts characters; bytes are the stricter reading.
        most = within(answer, "limitation", "max_content_length")
        return most if isinstance(most, int) and 100 <= most <= 10**7 else None

    # -- Publishing -----------------------------------------------------------------------------

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        progress = dict(outgoing.progress)
        server = _media_server(account)
        places = dict(progress.get("media", {}))
        for position, attachment in enumerate(outgoing.attachments):
            if str(position) in places:
                continue
            alive = partial(save, dict(progress))
            url = self._uploaded(account, server, attachment, alive) if server else attachment.url
            # Kept: the address is part of what the event's id is made of.
            places[str(position)] = url
            progress["media"] = dict(places)
            save(dict(progress))
        return progress

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        if len(outgoing.progress.get("media", {})) < len(outgoing.attachments):
            raise Temporary("A picture is not uploaded yet.", code="not_prepared")
        event = self.event(account, outgoing)
        answers = self._everywhere(account, lambda relay: relay.submit(event))
        taken = [url for url, answer in answers.items() if answer is None]
        if not taken:
            raise _worst(answers)
        for url, answer in answers.items():
            if answer is not None:
                log.warning("a relay did not take the note", relay=url, why=str(answer))
        return _receipt(event["id"], taken)

    def event(self, account: Account, outgoing: Outgoing) -> Event:
        """The note: the same id at every try of the same frozen post and its progress."""
        text = _content(outgoing)
        tags = [["t", each] for each in sorted({s.value.lower() for s in hashtags(text)})]
        signer = _signer(account)
        if reply_to := outgoing.reply_to:
            tags.append(["e", reply_to.root, "", "root", signer.public])
            if reply_to.id != reply_to.root:
                tags.append(["e", reply_to.id, "", "reply", signer.public])
            tags.append(["p", signer.public])
        for url, each in zip(_addresses(outgoing), outgoing.attachments, strict=True):
            fields = [f"url {url}", f"m {each.mime}", f"x {each.sha256}"]
            if each.width > 0 and each.height > 0:
                fields.append(f"dim {each.width}x{each.height}")
            if each.alt:
                fields.append(f"alt {each.alt}")
            tags.append(["imeta", *fields])
        return signer.event(
            kind=NOTE,
            content=text,
            tags=[*tags, [KEY, outgoing.key]],
            created_at=int(outgoing.created_at.timestamp()),
        )

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        # Rarely needed: sending again is as good. For a post that must not go out any more.
        if len(outgoing.progress.get("media", {})) < len(outgoing.attachments):
            return None  # Nothing was sent: addresses are kept before anything is.
        number = self.event(account, outgoing)["id"]
        answers = self._everywhere(account, lambda relay: relay.ask({"ids": [number]}))
        having = [
            url
            for url, found in answers.items()
            if isinstance(found, list) and any(each.get("id") == number for each in found)
        ]
        if having:
            return _receipt(number, having)
        silent = [each for each in answers.values() if isinstance(each, PublishError)]
        if silent:
            words = f"A relay does not say whether it is there: {silent[0]}"
            # One that is gone for good must not leave the question open for ever.
            raise (Temporary if len(silent) == len(answers) else Permanent)(words, code="silent")
        return None

    def unpublish(self, account: Account, posted: Posted) -> None:
        """Ask every relay to delete it (NIP-09); what other relays and readers copied stays."""
        number = need_id(posted, self.label)
        if not HEX.fullmatch(number):
            raise Permanent("Nostr: this is no event's id.", code="bad_id")
        event = _signer(account).event(
            kind=DELETION,
            content="",
            tags=[["e", number], ["k", str(NOTE)]],
            created_at=int(time.time()),
        )
        answers = self._everywhere(account, lambda relay: relay.submit(event))
        refused = {url: each for url, each in answers.items() if each is not None}
        if refused:
            error = _worst(refused)
            # Unanswered or not, asking again is harmless; it may still be there.
            words = f"Not every relay deleted it. {error}"
            raise (Permanent if isinstance(error, Permanent) else Temporary)(words, code=error.code)

    # -- Relays and the media server ------------------------------------------------------------

    def _everywhere(
        self, account: Account, work: Callable[[Relay], T]
    ) -> dict[str, T | PublishError]:
        """What each relay answered, all of them asked at the same time."""
        signer = _signer(account)

        def ask(url: str) -> T | PublishError:
            try:
                with connected(url, signer, seconds=RELAY_SECONDS) as relay:
                    return work(relay)
            except PublishError as error:
                return error

        relays = self._relays(account)
        with ThreadPoolExecutor(len(relays), thread_name_prefix="relay") as pool:
            return dict(zip(relays, pool.map(ask, relays), strict=True))

    def _relays(self, account: Account) -> list[str]:
        given = str(account.credentials.get("relays", "")).replace(",", " ").split()
        if not 1 <= len(given) <= MOST_RELAYS:
            raise Permanent(f"Nostr: give 1 to {MOST_RELAYS} relays.", code="bad_relays")
        for each in given:
            try:
                parts = urlsplit(each)
                host, port = parts.hostname or "", parts.port
            except ValueError:
                host, port = "", None
            plain = parts.scheme == "ws" and http.is_named(host, port or 80)
            if not host or parts.username or (parts.scheme != "wss" and not plain):
                words = f"{each[:100]!r} is no relay: its address begins with wss://"
                raise Permanent(words, code="bad_relays")
        return list(dict.fromkeys(given))

    def _uploaded(
        self, account: Account, server: str, attachment: Attachment, alive: Callable[[], None]
    ) -> str:
        """The address of a file on the media server, put there under its hash (Blossom, BUD-02)."""
        now = int(time.time())
        expires = now + int(upload_seconds(attachment)) + 60
        leave = _signer(account).event(
            kind=UPLOAD,
            content=f"Upload {attachment.name}",
            tags=[["t", "upload"], ["x", attachment.sha256], ["expiration", str(expires)]],
            created_at=now,
        )
        token = base64.b64encode(json.dumps(leave).encode()).decode()
        with attachment.open() as file:
            response = self.call(
                account,
                "PUT",
                f"{server}/upload",
                seconds=upload_seconds(attachment),
                content=Flow(file, alive),
                headers={
                    "Authorization": f"Nostr {token}",
                    "Content-Type": attachment.mime,
                    "X-SHA-256": attachment.sha256,
                },
            )
        answer = self.read(response)
        url, kept = str(within(answer, "url") or ""), within(answer, "sha256")
        if not url.startswith("https://") or len(url) > 500 or len(url.split()) != 1:
            self.malformed("it does not say where the file is")
        if kept != attachment.sha256:
            self.malformed("it keeps another file than was sent")
        return url


def _signer(account: Account) -> Signer:
    try:
        return Signer(secret_of(str(account.credentials.get("private_key", ""))))
    except ValueError:
        words = "This is no private key of Nostr: it is written as nsec1… or as 64 hex digits."
        raise NeedsReconnect(words, code="bad_key") from None


def _media_server(account: Account) -> str:
    """The media server's address; composing, which sees no credentials, knows it from the test."""
    given = account.credentials or account.facts
    server = str(given.get("media_server") or "").strip().rstrip("/")
    if server and not server.startswith("https://"):
        raise Permanent("The media server's address begins with https://", code="insecure_address")
    return server


def _addresses(outgoing: Outgoing) -> list[str]:
    places = outgoing.progress.get("media", {})
    return [places.get(str(n), each.url) for n, each in enumerate(outgoing.attachments)]


def _content(outgoing: Outgoing) -> str:
    """The note's text: clients show what an address in it leads to."""
    return "\n\n".join(
        part for part in (outgoing.full_text, "\n".join(_addresses(outgoing))) if part
    )


def _worst(answers: Mapping[str, Any]) -> PublishError:
    """What no relay's yes leaves: doubt before hope, hope before refusal."""
    errors = [each for each in answers.values() if isinstance(each, PublishError)]
    for kind in (Unconfirmed, Temporary, NeedsReconnect):
        if found := [each for each in errors if isinstance(each, kind)]:
            # One relay's limit must not hold up what the others would take.
            if isinstance(found[0], Temporary) and len(found) < len(answers):
                return Temporary(str(found[0]), code=found[0].code)
            return found[0]
    return errors[0]


def _receipt(number: str, relays: list[str]) -> Receipt:
    return Receipt(remote_id=number, url=f"https://njump.me/{nevent(number, relays[:2])}")
