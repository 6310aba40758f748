"""The hub: this process's rooms and connections, and their link to the other processes.

One Redis SUBSCRIBE per conversation that somebody here has joined; local delivery first; and once
a second a look at the database, which is the log: whatever Redis lost is read from there.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import structlog
from django.conf import settings

from apps.chat import databases, fanout, history, identity, protocol, shapes, tasks
from apps.chat.fanout import Packet
from apps.chat.ledger import Draft, Outcome, Refusal
from apps.chat.links import Link
from apps.chat.messaging import Writer
from apps.chat.presence import MOST_WATCHED, Presence
from apps.chat.rooms import Room
from apps.chat.watching import Watcher

if TYPE_CHECKING:
    from apps.chat.connection import Connection

log = structlog.get_logger(__name__)

# A room nobody has joined any more is kept this long: people reload pages.
KEEP_EMPTY_SECONDS = 30.0


class Hub:
    """Everything live in one process; there is one per event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.name = os.urandom(6).hex().encode()
        self.rooms: dict[UUID, Room] = {}
        # Per user every socket on this process.
        self.connections: dict[UUID, dict[Connection, None]] = {}
        self._dirty: list[Room] = []
        self._flushing = False
        # A client library may turn a cancellation into an error of its own: loops ask this too.
        self.stopping = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._rosters = databases.Loader(history.rosters)
        self.people = databases.Loader(identity.people_behind)
        self.contacts = databases.Loader(
            lambda user_ids: history.contacts(user_ids, most=MOST_WATCHED)
        )
        self._loss = float(getattr(settings, "CHAT_TEST_HUB_LOSS", 0))
        self.writer = Writer(loop, self._stored)
        self.link = Link(self)
        self.presence = Presence(self)
        self.watcher = Watcher(self)
        self.link.run()
        self.spawn(self.presence.run())
        self.spawn(self.watcher.run())

    # -- Connections -----------------------------------------------------------------------------

    def add(self, connection: Connection) -> None:
        sockets = self.connections.setdefault(connection.user_id, {})
        sockets[connection] = None
        self.presence.arrived(connection.user_id, first=len(sockets) == 1)

    def remove(self, connection: Connection) -> None:
        sockets = self.connections.get(connection.user_id)
        if sockets is None or connection not in sockets:
            return
        del sockets[connection]
        if not sockets:
            del self.connections[connection.user_id]
        self.presence.unwatch(connection)
        self.presence.left(connection.user_id, last=not sockets)

    # -- Rooms -----------------------------------------------------------------------------------

    async def room(self, conversation_id: UUID) -> Room | None:
        """A conversation's room, read and subscribed to on first use; None: there is none."""
        room = self.rooms.get(conversation_id)
        if room is not None:
            return room
        # Subscribed before it is read: what is published in between waits in the room's order.
        self.link.subscribe(conversation_id)
        roster = await self._rosters.get(conversation_id)
        if roster is None:
            self.link.unsubscribe(conversation_id)
            return None
        # Two may have asked at once; the first made it.
        room = self.rooms.get(conversation_id)
        if room is None:
            room = self.rooms[conversation_id] = Room(self, roster)
            room.empty_since = self.loop.time()
        return room

    async def refresh(self, room: Room) -> None:
        """Read who is in the conversation again, and put out whoever no longer is."""
        roster = await self._rosters.get(room.id)
        if roster is None:
            roster = history.Roster(room.id, "", 0, 0, room.roster.members_version + 1, "ai", "")
        before, room.roster = room.roster, roster
        for connection in list(room.connections):
            if roster.roles.get(connection.user_id) is None:
                connection.removed_from(room)
        if roster.members_version != before.members_version:
            room.emit(protocol.encode({"type": "members_changed", "conversation_id": room.id}))
        if (roster.holder, roster.holder_name) != (before.holder, before.holder_name):
            room.emit(protocol.encode(shapes.holder_changed(roster)))
        room.notice_standing(roster.last_seq, roster.last_change)

    def sweep_rooms(self) -> None:
        """Forget the rooms that nobody here has joined for a while."""
        now = self.loop.time()
        for room in list(self.rooms.values()):
            if room.connections:
                room.empty_since = now
            elif now - room.empty_since > KEEP_EMPTY_SECONDS:
                del self.rooms[room.id]
                self.link.unsubscribe(room.id)

    async def read_missed(
        self, conversation_id: UUID, last_seq: int, last_change: int | None
    ) -> history.Missed:
        return await databases.run(
            lambda: history.missed(conversation_id, last_seq=last_seq, last_change=last_change)
        )

    # -- Messages --------------------------------------------------------------------------------

    def _stored(self, results: list[tuple[Draft, Outcome]]) -> None:
        """The writer committed: acknowledge, show, and wake the personas that are asked."""
        # Flushed at the end of this turn anyway, a sender's ack and message in one write.
        self._flushing = True
        try:
            reply_ids = [
                reply_id for draft, outcome in results for reply_id in self._tell(draft, outcome)
            ]
        finally:
            self._flush_now()
        if reply_ids:
            self.spawn(databases.run(lambda: tasks.wake(reply_ids)))

    def _tell(self, draft: Draft, outcome: Outcome) -> tuple[UUID, ...]:
        if draft.sender is not None:
            draft.sender.acknowledge(draft, outcome)
        if isinstance(outcome, Refusal) or outcome.was_there:
            return ()
        if draft.attachment_ids:
            # Its files are in the database only: the room reads the whole message.
            self.spawn(self._show_from_log(draft.conversation_id, outcome.seq))
        else:
            text = shapes.new_message(draft, outcome)
            self.show(draft.conversation_id, Packet(fanout.MESSAGE, outcome.seq, text))
        return outcome.reply_ids

    async def _show_from_log(self, conversation_id: UUID, seq: int) -> None:
        found = await self.read_missed(conversation_id, seq - 1, None)
        for number, text in found.messages[:1]:
            self.show(conversation_id, Packet(fanout.MESSAGE, number, text))

    def show(self, conversation_id: UUID, packet: Packet) -> None:
        """To those here at once, and to the other processes."""
        room = self.rooms.get(conversation_id)
        if room is not None and not self._is_lost():
            self._deliver(room, packet)
        self.link.publish(conversation_id, packet)

    def received(self, conversation_id: UUID, packet: Packet) -> None:
        """From another process."""
        room = self.rooms.get(conversation_id)
        if room is not None and packet.origin != self.name and not self._is_lost():
            self._deliver(room, packet)

    def _deliver(self, room: Room, packet: Packet) -> None:
        if packet.kind == fanout.MESSAGE:
            room.take_message(packet.number, packet.body)
        elif packet.kind == fanout.CHANGE:
            room.take_change(packet.number, packet.body)
        else:
            room.emit(packet.body)

    def _is_lost(self) -> bool:
        # The fault tests drop a part of everything here.
        return self._loss > 0 and random.random() < self._loss

    def heard(self, packet: Packet) -> None:
        """News for all hubs."""
        if packet.origin == self.name:
            return
        news = orjson.loads(packet.body)
        match news.get("news"):
            case "members":
                room = self.rooms.get(UUID(news["conversation_id"]))
                if room is not None:
                    self.spawn(self.refresh(room))
            case "user":
                self.watcher.look_now(UUID(news["user_id"]))
            case "suggestion":
                self._suggest(UUID(news["conversation_id"]), news["event"].encode())
            case "presence" | "hello":
                self.presence.heard(packet.origin, news)

    def _suggest(self, conversation_id: UUID, text: bytes) -> None:
        room = self.rooms.get(conversation_id)
        for connection in list(room.connections) if room is not None else ():
            if connection.is_staff:
                connection.send(text)

    # -- The loop --------------------------------------------------------------------------------

    def flush_soon(self, room: Room) -> None:
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush_now)
        self._dirty.append(room)

    def _flush_now(self) -> None:
        self._flushing = False
        dirty, self._dirty = self._dirty, []
        for room in dirty:
            room.flush()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run beside everything else; a failure is logged, never lost."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("chat task failed", error=repr(error), exc_info=error)

    async def stop(self) -> None:
        """End everything of this hub (tests, and the end of the process)."""
        self.stopping = True
        await asyncio.to_thread(self.writer.stop)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=1)
        await self.link.close()


_hubs: dict[int, Hub] = {}


def current() -> Hub:
    """The hub of the running loop, made on first use."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(id(loop))
    if hub is None or hub.loop is not loop:
        hub = _hubs[id(loop)] = Hub(loop)
    return hub


async def stop() -> None:
    """End the hub of the running loop, if there is one."""
    hub = _hubs.pop(id(asyncio.get_running_loop()), None)
    if hub is not None:
        await hub.stop()
