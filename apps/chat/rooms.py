"""A conversation in this process: who of it is connected here, and how far they have been shown.

Messages go out in the order of their numbers, each once, whatever the hub brought first, twice or
never. All of this runs on the event loop; no lock is needed, only care at each `await`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from apps.chat.history import Roster
from apps.chat.wire import Socket, framed

if TYPE_CHECKING:
    from apps.chat.connection import Connection
    from apps.chat.hub import Hub

# How long a message waits for the one before it before the database is asked.
PATIENCE = 0.03


class Room:
    """One conversation on one process."""

    __slots__ = (
        "_answers",
        "_batch",
        "_early",
        "_healing",
        "_hub",
        "connections",
        "empty_since",
        "id",
        "last_change",
        "last_seq",
        "roster",
        "typing",
    )

    def __init__(self, hub: Hub, roster: Roster) -> None:
        self._hub = hub
        self.id: UUID = roster.id
        self.roster = roster
        self.last_seq = roster.last_seq
        self.last_change = roster.last_change
        self.connections: dict[Connection, Socket] = {}
        self.typing: dict[UUID, asyncio.TimerHandle] = {}
        self.empty_since = 0.0
        self._batch: list[bytes] = []
        # What only one of them hears, before what all do.
        self._answers: dict[Connection, bytes] = {}
        # Came before their turn: {seq: text} and {-change: text}.
        self._early: dict[int, bytes] = {}
        self._healing = False

    def role_of(self, user_id: UUID) -> str | None:
        return self.roster.roles.get(user_id)

    # -- What arrives ----------------------------------------------------------------------------

    def take_message(self, seq: int, text: bytes) -> None:
        """A message of the log, from this process or another."""
        if seq <= self.last_seq:
            return
        if seq == self.last_seq + 1:
            self.last_seq = seq
            self.emit(text)
            if self._early:
                self._take_early()
        else:
            self._early[seq] = text
            self._heal_soon()

    def take_change(self, change: int, text: bytes) -> None:
        """A change of a message; the same order, numbered for itself."""
        if change <= self.last_change:
            return
        if change == self.last_change + 1:
            self.last_change = change
            self.emit(text)
            if self._early:
                self._take_early()
        else:
            self._early[-change] = text
            self._heal_soon()

    def _take_early(self) -> None:
        while (text := self._early.pop(self.last_seq + 1, None)) is not None:
            self.last_seq += 1
            self.emit(text)
        while (text := self._early.pop(-self.last_change - 1, None)) is not None:
            self.last_change += 1
            self.emit(text)

    def notice_standing(self, last_seq: int, last_change: int) -> None:
        """What the database says; behind it, this room reads what it missed."""
        if last_seq > self.last_seq or last_change > self.last_change:
            self._heal_soon()

    def _heal_soon(self) -> None:
        if not self._healing:
            self._healing = True
            self._hub.loop.call_later(PATIENCE, self._start_healing)

    def _start_healing(self) -> None:
        self._hub.spawn(self._heal())

    async def _heal(self) -> None:
        try:
            while True:
                found = await self._hub.read_missed(self.id, self.last_seq, self.last_change)
                for seq, text in found.messages:
                    self.take_message(seq, text)
                for change, text in found.changes:
                    # Changes number themselves without gaps, but a message changed twice shows
                    # only the later number: what the database gives is complete up to it.
                    if change > self.last_change:
                        self.last_change = change
                        self.emit(text)
                if not found.more:
                    self.last_change = max(self.last_change, found.last_change)
                    break
            self._early = {
                key: text
                for key, text in self._early.items()
                if key > self.last_seq or -key > self.last_change
            }
            self._take_early()
        finally:
            self._healing = False
        if self._early:
            self._heal_soon()

    # -- What goes out ---------------------------------------------------------------------------

    def emit(self, text: bytes) -> None:
        """To everybody here, at the end of this turn of the loop."""
        self._flush_soon()
        self._batch.append(framed(text))

    def answer(self, connection: Connection, text: bytes) -> None:
        """To one of those here, in the same write as what everybody hears in this turn."""
        if connection in self.connections:
            self._flush_soon()
            self._answers[connection] = self._answers.get(connection, b"") + framed(text)
        else:
            connection.send(text)

    def _flush_soon(self) -> None:
        if not self._batch and not self._answers:
            self._hub.flush_soon(self)

    def flush(self) -> None:
        """Join what gathered into one write per receiver."""
        answers, frames = self._answers, b"".join(self._batch)
        self._answers, self._batch = {}, []
        if frames and not answers:
            for socket in self.connections.values():
                socket.send(frames)
            return
        for connection, socket in self.connections.items():
            if (answer := answers.get(connection)) is not None:
                socket.send(answer + frames)
            elif frames:
                socket.send(frames)

    def admit(self, connection: Connection) -> None:
        """From here on this socket gets everything; what came before is not for it."""
        if self._batch:
            self.flush()
        self.connections[connection] = connection.socket

    def dismiss(self, connection: Connection) -> None:
        """This socket gets nothing more."""
        if connection in self.connections:
            # What was said while it was here is still its own.
            if self._batch or self._answers:
                self.flush()
            self.connections.pop(connection, None)

    def connections_of(self, user_id: UUID) -> list[Connection]:
        return [each for each in self.connections if each.user_id == user_id]

    def state(self, user_id: UUID) -> dict[str, Any]:
        """What `conversation_joined` says."""
        return {
            "type": "conversation_joined",
            "conversation_id": self.id,
            "last_seq": self.last_seq,
            "last_change": self.last_change,
            "read_seq": self.roster.read.get(user_id, 0),
            "role": self.roster.roles.get(user_id, ""),
            "holder": self.roster.holder,
            "holder_name": self.roster.holder_name,
        }
