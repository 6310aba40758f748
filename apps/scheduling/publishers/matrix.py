"""Matrix: messages into a room, by the client-server API (spec.matrix.org).

Each message carries a transaction id of ours, so sending it again changes nothing. The text is one
message and each picture another. A server forgets transaction ids, and knows them only from the
device that sent them; for that case every message also carries our key, by which it is found.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import httpx

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
from apps.scheduling.publishers.setup import Setup

KEY = "gator.key"
# An event may have 65,536 bytes; the server adds its own part, mostly signatures and ancestors.
MOST_BYTES = 60_000
CLOCK_SKEW = timedelta(minutes=2)
MOST_PAGES = 50
ROOM = re.compile(r"![^\s/?#]{1,254}")
ALIAS = re.compile(r"#[^\s/?#]{1,200}:[^\s/?#]{1,200}")
EVENT = re.compile(r"\$[^\s/?#]{1,254}")
MXC = re.compile(r"mxc://[\w.:\[\]-]{1,255}/[\w-]{1,255}", re.ASCII)


class Matrix(HttpPublisher):
    """Keyed by transaction ids for as long as servers are known to keep them; then listable."""

    label: ClassVar[str] = "Matrix"
    safety: ClassVar[Safety] = Safety.KEYED
    # The specification names no time; Synapse's memory is the shortest known.
    key_life: ClassVar[timedelta | None] = timedelta(minutes=30)
    needs_server: ClassVar[bool] = True
    replies: ClassVar[bool] = True
    setup: ClassVar[Setup] = Setup(
        account="A member of the room, which must not be encrypted.",
        rights=("to send messages in the room",),
        steps=(
            "Sign in to the account once in a session of its own and copy its access token.",
            "Join the room, and copy its id from the room's settings.",
            "Enter server, token and room by hand.",
        ),
        page="https://matrix.org/docs/",
        tried="Against Synapse, in the test suite.",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="access_token",
            label="Access token",
            help="Of an account for the persona. In Element: sign in as it, Settings, Help & "
            "About, Access Token; then close the window without signing out.",
        ),
        CredentialField(
            name="room",
            label="Room",
            help="Its address (#fog:example.org) or its id (!…). The persona must have joined it, "
            "and it must not be encrypted.",
            secret=False,
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            bytes=MOST_BYTES,
            images=20,
            image_bytes=account.facts.get("image_bytes", 50_000_000),
            image_types=frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
            video=VideoLimits(
                most=20, bytes=account.facts.get("image_bytes", 50_000_000), beside_pictures=True
            ),
        )

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        problems = super().check(account, outgoing)
        # Line ends and quotes take two bytes inside the event.
        size = len(json.dumps(outgoing.full_text, ensure_ascii=False).encode())
        if size > MOST_BYTES and not problems:
            words = f"Matrix takes {MOST_BYTES:,} bytes; this is {size:,} as it is sent."
            problems.append(Problem(field="text", code="text_too_long", message=words))
        return problems

    def test(self, account: Account) -> Identity:
        user, _ = self._who(account)
        room = self._room(account)
        joined = within(self._get(account, "/_matrix/client/v3/joined_rooms"), "joined_rooms")
        if not isinstance(joined, list) or room not in joined:
            raise NeedsReconnect(f"{user} is not in the room: invite it and accept.", code="room")
        if self._is_encrypted(account, room):
            words = "The room is encrypted; Gator writes only into rooms that are not."
            raise Permanent(words, code="encrypted")
        facts: dict[str, Any] = {"user": user, "room": room}
        most = self._upload_limit(account)
        if most:
            facts["image_bytes"] = most
        url = f"https://matrix.to/#/{quote(user, safe='@:')}"
        return Identity(handle=user, remote_id=user, url=url, facts=facts)

    # -- Publishing -----------------------------------------------------------------------------

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        progress = dict(outgoing.progress)
        user, device = self._who(account)
        devices = list(progress.get("devices", []))
        if device not in devices:
            progress |= {"user": user, "devices": [*devices, device]}
            save(dict(progress))
        if "room" not in progress:
            progress["room"] = self._room(account)
            save(dict(progress))
        uploads = dict(progress.get("uploads", {}))
        for position, attachment in enumerate(outgoing.attachments):
            if str(position) not in uploads:
                alive = partial(save, dict(progress))
                uploads[str(position)] = self._upload(account, attachment, alive)
                progress["uploads"] = dict(uploads)
                save(dict(progress))
        return progress

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        progress = outgoing.progress
        if "room" not in progress or len(progress.get("uploads", {})) < len(outgoing.attachments):
            raise Temporary("The post is not prepared yet.", code="not_prepared")
        if len(progress.get("devices", [])) > 1:
            # Connected anew since the first try: this device's transaction ids say nothing of it.
            receipt = self.find(account, outgoing, outgoing.created_at - CLOCK_SKEW)
            if receipt is not None:
                return receipt
        room, first = str(progress["room"]), ""
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/send/m.room.message"
        for number, content in enumerate(self.messages(outgoing)):
            try:
                response = self._call(
                    account,
                    "PUT",
                    f"{path}/{content[KEY]}",
                    publishing=True,
                    seconds=15,
                    json=content,
                )
                event = str(within(self.read(response, publishing=True), "event_id") or "")
                if not EVENT.fullmatch(event):
                    self.malformed("it does not name our message", publishing=True)
            except PublishError as error:
                if number == 0 or isinstance(error, Unconfirmed):
                    raise
                # Part of the post is there: only the same again can complete it.
                raise Unconfirmed(str(error), code=error.code) from None
            first = first or event
        return _receipt(room, first)

    def unpublish(self, account: Account, posted: Posted) -> None:
        room, user = posted.progress.get("room"), posted.progress.get("user")
        events = {posted.remote_id} - {""}
        if room and user and posted.pictures:
            # A post with pictures is several messages; each has our key.
            since = posted.published_at - CLOCK_SKEW
            wanted = {f"{posted.key}-{number}" for number in range(posted.pictures + 1)}
            events |= set(self._there(account, str(room), str(user), wanted, since).values())
        if not room or not events:
            need_id(replace(posted, remote_id=""), self.label)
        for event in sorted(events):
            path = (
                f"/_matrix/client/v3/rooms/{quote(str(room), safe='')}/redact/"
                f"{quote(event, safe='')}/{posted.key}-removed"
            )
            self._call(account, "PUT", path, json={})

    def messages(self, outgoing: Outgoing) -> list[dict[str, Any]]:
        """The post as messages, the same at every try; `m.mentions` says that nobody is pinged."""
        contents: list[dict[str, Any]] = []
        if text := outgoing.full_text:
            contents.append({"msgtype": "m.text", "body": text})
        for position, each in enumerate(outgoing.attachments):
            info: dict[str, Any] = {"mimetype": each.mime, "size": each.size}
            if each.width > 0 and each.height > 0:
                info |= {"w": each.width, "h": each.height}
            if each.is_video:
                info["duration"] = round(each.duration * 1_000)
            contents.append(
                {
                    "msgtype": "m.video" if each.is_video else "m.image",
                    "body": each.alt or each.name,
                    "filename": each.name,
                    "url": outgoing.progress["uploads"][str(position)],
                    "info": info,
                }
            )
        if outgoing.reply_to:
            contents[0]["m.relates_to"] = {"m.in_reply_to": {"event_id": outgoing.reply_to.id}}
        return [
            {**content, "m.mentions": {}, KEY: f"{outgoing.key}-{number}"}
            for number, content in enumerate(contents)
        ]

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        room, user = outgoing.progress.get("room"), outgoing.progress.get("user")
        if not room or not user:
            return None  # Nothing was sent: both are kept before anything is.
        count = len(outgoing.attachments) + bool(outgoing.full_text)
        wanted = {f"{outgoing.key}-{number}" for number in range(count)}
        there = self._there(account, str(room), str(user), wanted, since)
        return _found(str(room), outgoing.key, there, count)

    def _there(
        self, account: Account, room: str, user: str, wanted: set[str], since: datetime
    ) -> dict[str, str]:
        """The events in the room, by the key in each, among those since then."""
        there: dict[str, str] = {}
        query = {
            "dir": "b",
            "limit": "100",
            "filter": json.dumps({"types": ["m.room.message"], "senders": [user]}),
        }
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/messages"
        for _ in range(MOST_PAGES):
            answer = self._get(account, f"{path}?{urlencode(query)}")
            events = within(answer, "chunk")
            if not isinstance(events, list):
                self.malformed("its list of messages is no list")
            times = [within(event, "origin_server_ts") for event in events]
            for event in events:
                key = str(within(event, "content", KEY))
                event_id = str(within(event, "event_id") or "")
                if key in wanted and EVENT.fullmatch(event_id):
                    there[key] = event_id
            past = [t for t in times if isinstance(t, int) and _moment(t) < since]
            following = within(answer, "end")
            if len(there) == len(wanted) or past or not following:
                return there
            query["from"] = str(following)
        raise Temporary("Matrix: too many messages to look them all through.", code="too_many")

    # -- Rooms and uploads ----------------------------------------------------------------------

    def _who(self, account: Account) -> tuple[str, str]:
        me = self._get(account, "/_matrix/client/v3/account/whoami")
        user = str(within(me, "user_id") or "")
        if not re.fullmatch(r"@[^\s/]{1,254}", user):
            self.malformed("it does not say who we are")
        return user, str(within(me, "device_id") or "")[:255]

    def _room(self, account: Account) -> str:
        given = str(account.credentials.get("room", "")).strip()
        if ALIAS.fullmatch(given):
            path = f"/_matrix/client/v3/directory/room/{quote(given, safe='')}"
            given = str(within(self._get(account, path), "room_id") or "")
        if not ROOM.fullmatch(given):
            raise Permanent("The room is written as #name:server or as !id.", code="bad_room")
        return given

    def _is_encrypted(self, account: Account, room: str) -> bool:
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/state/m.room.encryption"
        try:
            self._get(account, path)
        except Permanent as error:
            if error.code == "M_NOT_FOUND":
                return False
            raise
        return True

    def _upload_limit(self, account: Account) -> int | None:
        try:
            answer = self._get(account, "/_matrix/client/v1/media/config")
        except Permanent:
            return None  # An older server; its refusal would tell.
        most = within(answer, "m.upload.size")
        return most if isinstance(most, int) and 0 < most < 10**10 else None

    def _upload(self, account: Account, attachment: Attachment, alive: Callable[[], None]) -> str:
        name = re.sub(r"[^\w.-]", "_", attachment.name, flags=re.ASCII)[-100:]
        with attachment.open() as file:
            response = self._call(
                account,
                "POST",
                f"/_matrix/media/v3/upload?filename={name}",
                seconds=upload_seconds(attachment),
                content=Flow(file, alive),
                headers={"Content-Type": attachment.mime},
            )
        address = str(within(self.read(response), "content_uri") or "")
        if not MXC.fullmatch(address):
            self.malformed("it does not name the uploaded image")
        return address

    # -- Calls ----------------------------------------------------------------------------------

    def _get(self, account: Account, path: str) -> Any:
        return self.read(self._call(account, "GET", path))

    def _call(
        self,
        account: Account,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        token = str(account.credentials.get("access_token", "")).strip()
        sent = {**(headers or {}), "Authorization": f"Bearer {token}"}
        return self.call(account, method, f"{self.server(account)}{path}", headers=sent, **request)

    def said(self, response: httpx.Response) -> tuple[str, str]:
        slug, words = super().said(response)
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            return slug, words
        return str(within(answer, "errcode") or ""), words

    def wait(self, response: httpx.Response) -> float | None:
        try:
            told = within(response.json(), "retry_after_ms")
        except (ValueError, RecursionError):
            told = None
        sane = isinstance(told, int) and 0 <= told <= 86_400_000
        return told / 1_000 if sane else super().wait(response)


def _found(room: str, key: str, there: Mapping[str, str], count: int) -> Receipt | None:
    if not there:
        return None
    if len(there) < count:
        words = f"Matrix: {len(there)} of the post's {count} messages are in the room."
        raise Permanent(words, code="in_part")
    return _receipt(room, there[f"{key}-0"])


def _receipt(room: str, event: str) -> Receipt:
    url = f"https://matrix.to/#/{quote(room, safe='!:')}/{quote(event, safe='$:')}"
    return Receipt(remote_id=event, url=url)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(milliseconds, 0), 10**14) / 1_000, UTC)
