"""One socket's life: its user, what it joined, and what each of its frames does.

Frames are handled on the event loop. What needs the database is begun here and answered when it
is done; the order of a socket's own messages is the order in which it sent them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError

from apps.chat import databases, history, identity, joining, mentions, protocol, services, typing
from apps.chat.hub import Hub
from apps.chat.identity import Identity
from apps.chat.ledger import Draft, Outcome, Refusal
from apps.chat.protocol import BadFrame, Frame
from apps.chat.rooms import Room
from apps.chat.wire import Socket, framed

log = structlog.get_logger(__name__)

# A client that goes on after this many refusals for haste is not one that waits a moment.
MOST_REFUSALS = 200
# Read once: every frame asks.
RATE = float(settings.CHAT_RATE)
BURST = float(settings.CHAT_BURST)


class Connection:
    """A signed-in socket."""

    __slots__ = (
        "_allowance",
        "_at",
        "_closed",
        "_hub",
        "_refusals",
        "_turn",
        "identity",
        "joined",
        "socket",
        "user_id",
        "watched",
    )

    def __init__(self, hub: Hub, who: Identity, socket: Socket) -> None:
        self._hub = hub
        self.identity = who
        self.user_id = who.user_id
        self.socket = socket
        self.joined: dict[UUID, Room] = {}
        self.watched: set[UUID] = set()
        self._allowance = BURST
        self._at = hub.loop.time()
        self._refusals = 0
        self._closed = False
        # Work of one socket is done in the order of its frames; made with its first use.
        self._turn: asyncio.Lock | None = None

    @property
    def is_staff(self) -> bool:
        return self.identity.is_staff

    # -- Begin and end ---------------------------------------------------------------------------

    def opened(self) -> None:
        """Tell the client who is here."""
        self._hub.add(self)
        self._hub.spawn(self._greet())

    async def _greet(self) -> None:
        people = await self._hub.contacts.get(self.user_id) or []
        if self.is_closed():
            return
        self._hub.presence.watch(self, people)
        online = [each for each in people if self._hub.presence.is_online(each)]
        self.say({"type": "online_users", "user_ids": online})

    def closed(self) -> None:
        """The socket is gone: leave everything."""
        self._closed = True
        for room in list(self.joined.values()):
            typing.stop(self._hub, room, self.user_id)
            room.connections.pop(self, None)
        self.joined.clear()
        self._hub.remove(self)

    def sign_out(self) -> None:
        """The proof is no longer good: the session ended, the token was revoked or expired."""
        self.socket.close(protocol.UNAUTHENTICATED, "signed out")
        self.closed()

    def is_closed(self) -> bool:
        """Asked after every await: the client may have gone in the meantime."""
        return self._closed

    def removed_from(self, room: Room) -> None:
        """The user is no longer a member."""
        room.dismiss(self)
        if self.joined.pop(room.id, None) is not None:
            typing.stop(self._hub, room, self.user_id)
            self.say({"type": "conversation_left", "conversation_id": room.id, "reason": "removed"})

    # -- Out -------------------------------------------------------------------------------------

    def send(self, *texts: bytes) -> None:
        if texts:
            self.socket.send(b"".join(map(framed, texts)))

    def say(self, event: dict[str, Any]) -> None:
        self.socket.send(framed(protocol.encode(event)))

    def refuse(self, code: str, **about: Any) -> None:
        self.say({"type": "error", "code": code, "message": protocol.ERROR_CODES[code], **about})

    def acknowledge(self, draft: Draft, outcome: Outcome) -> None:
        """The writer's answer: stored, or not."""
        if isinstance(outcome, Refusal):
            self.refuse(
                outcome.code, client_id=draft.client_id, conversation_id=draft.conversation_id
            )
            return
        text = protocol.encode(
            {
                "type": "ack",
                "client_id": draft.client_id,
                "conversation_id": draft.conversation_id,
                "id": outcome.id,
                "seq": outcome.seq,
            }
        )
        room = self.joined.get(draft.conversation_id)
        if room is not None:
            room.answer(self, text)
        else:
            self.send(text)

    # -- In --------------------------------------------------------------------------------------

    def received(self, text: str | None) -> None:
        """One frame. Whatever it holds, the answer is an event and the socket goes on."""
        try:
            try:
                frame = protocol.parse(text)
            except BadFrame as refused:
                self._check_rate(refused.client_id)
                raise
            self._check_rate(frame.get("client_id"))
            self._HANDLERS[frame["type"]](self, frame)
        except BadFrame as refused:
            self.send(protocol.error_event(refused))
        except Exception:
            log.exception("a frame broke its handler")
            self.refuse("unavailable")

    def _check_rate(self, client_id: str | None) -> None:
        now = self._hub.loop.time()
        self._allowance = min(BURST, self._allowance + (now - self._at) * RATE)
        self._at = now
        if self._allowance < 1.0:
            self._refusals += 1
            if self._refusals > MOST_REFUSALS:
                self.socket.close(protocol.TOO_MANY, "too many frames")
            raise BadFrame("rate_limited", client_id=client_id)
        self._allowance -= 1.0
        if self._refusals and self._allowance > 1.0:
            self._refusals -= 1

    def _later(self, work: Callable[[], Awaitable[None]], frame: Frame) -> None:
        if self._turn is None:
            self._turn = asyncio.Lock()
        self._hub.spawn(self._guarded(self._turn, work, frame))

    async def _guarded(
        self, turn: asyncio.Lock, work: Callable[[], Awaitable[None]], frame: Frame
    ) -> None:
        about = {key: frame[key] for key in ("client_id", "conversation_id") if frame.get(key)}
        try:
            async with turn:
                await work()
        except BadFrame as refused:
            self.say({"type": "error", "code": refused.code, "message": str(refused), **about})
        except services.Refused as refused:
            self.say({"type": "error", "code": refused.code, "message": str(refused), **about})
        except (DatabaseError, OSError) as error:
            log.warning("chat cannot reach the database", error=str(error))
            self.refuse("unavailable", **about)

    def _room(self, frame: Frame) -> Room:
        """The joined room of a frame, if its sender is a member at this moment."""
        room = self.joined.get(frame["conversation_id"])
        if room is None or room.role_of(self.user_id) is None:
            raise BadFrame("not_member", client_id=frame.get("client_id"))
        return room

    # -- Conversations ---------------------------------------------------------------------------

    def _join(self, frame: Frame) -> None:
        if len(self.joined) >= settings.CHAT_JOINED_PER_SOCKET:
            raise BadFrame("too_many_joined")
        self._later(lambda: joining.enter(self._hub, self, frame, greet=True), frame)

    def _resume(self, frame: Frame) -> None:
        self._later(lambda: joining.enter(self._hub, self, frame, greet=False), frame)

    def _leave(self, frame: Frame) -> None:
        room = self._room(frame)
        room.dismiss(self)
        del self.joined[room.id]
        typing.stop(self._hub, room, self.user_id)
        self.say({"type": "conversation_left", "conversation_id": room.id, "reason": "left"})

    # -- Messages --------------------------------------------------------------------------------

    def _send(self, frame: Frame) -> None:
        client_id = frame.get("client_id")
        if not frame["content"] and not frame.get("attachment_ids"):
            raise BadFrame("empty", client_id=client_id)
        room = self.joined.get(frame["conversation_id"])
        if room is None or (self._turn is not None and self._turn.locked()):
            # Its join may still be under way, and nothing of ours may overtake it.
            self._later(partial(self._send_in_turn, frame), frame)
        else:
            self._submit(room, frame)

    async def _send_in_turn(self, frame: Frame) -> None:
        room = await self._hub.room(frame["conversation_id"])
        if room is None:
            raise BadFrame("not_member")
        self._submit(room, frame)

    def _submit(self, room: Room, frame: Frame) -> None:
        client_id = frame.get("client_id")
        if room.role_of(self.user_id) is None:
            raise BadFrame("not_member", client_id=client_id)
        asked = mentions.handles_in(frame["content"], room.roster.personas)
        if (persona_id := frame.get("persona_id")) is not None:
            if persona_id not in room.roster.personas:
                raise BadFrame("persona_not_here", client_id=client_id)
            asked = (*asked, persona_id)
        draft = Draft(
            conversation_id=room.id,
            content=frame["content"],
            user_id=self.user_id,
            sender_name=self.identity.name,
            client_id=client_id,
            asked=asked,
            attachment_ids=tuple(frame.get("attachment_ids", ())),
            sender=self,
        )
        if not self._hub.writer.submit(draft):
            raise BadFrame("unavailable", client_id=client_id)
        if room.typing:
            typing.stop(self._hub, room, self.user_id)

    def _edit(self, frame: Frame) -> None:
        if not frame["content"]:
            raise BadFrame("empty")
        self._do(
            frame,
            lambda: services.edit_message(
                message_id=frame["message_id"], by=self.user_id, content=frame["content"]
            ),
        )

    def _delete(self, frame: Frame) -> None:
        self._do(
            frame,
            lambda: services.delete_message(message_id=frame["message_id"], by=self.user_id),
        )

    def _react(self, frame: Frame) -> None:
        self._do(
            frame,
            lambda: services.react(
                message_id=frame["message_id"],
                by=self.user_id,
                emoji=frame["emoji"],
                remove=frame.get("remove", False),
            ),
        )

    def _read(self, frame: Frame) -> None:
        room = self._room(frame)
        self._do(
            frame,
            lambda: services.mark_read(conversation_id=room.id, by=self.user_id, seq=frame["seq"]),
        )

    def _stop_reply(self, frame: Frame) -> None:
        self._do(frame, lambda: services.stop_reply(reply_id=frame["reply_id"], by=self.user_id))

    def _regenerate(self, frame: Frame) -> None:
        self._do(frame, lambda: services.regenerate(reply_id=frame["reply_id"], by=self.user_id))

    def _do(self, frame: Frame, verb: Callable[[], object]) -> None:
        """A verb of the services, in a database thread; it checks membership in the row."""

        async def work() -> None:
            await databases.run(verb)

        self._later(work, frame)

    # -- Presence, typing, the rest --------------------------------------------------------------

    def _typing_start(self, frame: Frame) -> None:
        typing.start(self._hub, self._room(frame), self.user_id)

    def _typing_stop(self, frame: Frame) -> None:
        typing.stop(self._hub, self._room(frame), self.user_id)

    def _online_status(self, frame: Frame) -> None:
        asked: list[UUID] = frame["user_ids"]

        async def work() -> None:
            allowed = await databases.run(lambda: history.share_a_conversation(self.user_id, asked))
            status = {
                str(each): each in allowed and self._hub.presence.is_online(each) for each in asked
            }
            self.say({"type": "online_status", "status": status})

        self._later(work, frame)

    def _auth(self, frame: Frame) -> None:
        async def work() -> None:
            try:
                proof, expires_at = identity.of_token(frame["token"])
                who = await identity.identify(proof, expires_at, loader=self._hub.people)
            except identity.Refused:
                raise BadFrame("bad_token") from None
            if who.user_id != self.user_id:
                raise BadFrame("bad_token")
            self.identity = who
            self.say({"type": "authenticated"})

        self._later(work, frame)

    def _ping(self, frame: Frame) -> None:
        self.say({"type": "pong"})

    def is_expired(self) -> bool:
        expires_at = self.identity.expires_at
        return expires_at is not None and expires_at <= time.time()

    _HANDLERS: ClassVar[dict[str, Callable[[Connection, Frame], None]]] = {
        "join_conversation": _join,
        "leave_conversation": _leave,
        "send_message": _send,
        "typing_start": _typing_start,
        "typing_stop": _typing_stop,
        "get_online_status": _online_status,
        "resume": _resume,
        "edit_message": _edit,
        "delete_message": _delete,
        "react": _react,
        "read": _read,
        "stop_reply": _stop_reply,
        "regenerate": _regenerate,
        "auth": _auth,
        "ping": _ping,
    }
