"""How bytes reach a socket: encode and frame once, write to all, and cut who does not read.

Frames from server to client are not masked, so one message is the same bytes for everybody.
`GatorProtocol` is uvicorn's own WebSocket protocol with two doors more, offered as the ASGI
extension `gator.wire`: writing bytes that are framed already, and hearing of a text frame without
a queue between. Behind any other ASGI server (daphne in `runserver`, the tests' communicator) the
same code sends by ordinary ASGI events.
"""

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol, cast

import structlog
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask  # type: ignore[attr-defined]
from websockets.protocol import State

log = structlog.get_logger(__name__)

EXTENSION = "gator.wire"
_quiet = logging.getLogger("gator.sockets")
_quiet.setLevel(logging.WARNING)
Listener = Callable[[str | None], None]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def framed(payload: bytes) -> bytes:
    """One final, unmasked text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81" + bytes((length,)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2) + payload
    return b"\x81\x7f" + struct.pack("!Q", length) + payload


def _whole_text(data: bytes) -> bytes | None:
    """The payload, when this is exactly one final, masked text frame of less than 64 KB."""
    size = len(data)
    if size < 6 or data[0] != 0x81:
        return None
    length = data[1] - 0x80
    head = 2
    if length == 126:
        length = data[2] << 8 | data[3]
        head = 4
    if length < 0 or length == 127 or size != head + 4 + length:
        return None
    payload: bytes = apply_mask(data[head + 4 :], data[head : head + 4])
    return payload


def texts_in(frames: bytes) -> Iterator[bytes]:
    """What was `framed`, taken apart again."""
    at = 0
    while at < len(frames):
        length = frames[at + 1]
        at += 2
        if length > 125:
            width = 2 if length == 126 else 8
            length = int.from_bytes(frames[at : at + width])
            at += width
        yield frames[at : at + length]
        at += length


class Socket(Protocol):
    """One client's socket, bounded: who does not read what is sent is cut, and `send` never waits.

    `send` takes whole frames. It may change from one call to the next: a server's own function
    while the client reads, another one when it does not.
    """

    @property
    def send(self) -> Callable[[bytes], object]: ...

    def close(self, code: int, reason: str) -> None: ...

    def listen(self, listener: Listener, lost: Callable[[], None]) -> bool:
        """Call `listener` with each text frame and `lost` at the end, whoever awaits nothing more;
        False when both come by `receive()` instead."""
        ...


class _Flag:
    """What is used of `asyncio.Event` here, without its queue of waiters: 700 bytes of a socket."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False


class _Nowhere:
    """The queue of a socket that nobody receives from any more."""

    def put_nowait(self, event: object) -> None:
        """Its listener was told already."""


_nowhere = _Nowhere()


def _waits_for_a_frame(parser: Any) -> bool:
    # The server's parser runs the common one, which waits in `at_eof` for a first byte.
    waits_in = parser.gi_yieldfrom.gi_yieldfrom
    return waits_in is not None and waits_in.__name__ == "at_eof"


class GatorProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol with the extension `gator.wire`; start with `--ws` and this class."""

    listener: Listener | None = None
    lost: Callable[[], None] | None = None
    direct: "DirectSocket | None" = None
    # Listened to, and the library waits for the first byte of a frame.
    at_rest = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Three lines for every socket that opens would be most of the log.
        self.logger = self.conn.logger = _quiet

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if scope := getattr(self, "scope", None):
            # The application's task has been made but has not run yet.
            scope["extensions"][EXTENSION] = self

    async def run_asgi(self) -> None:
        """As uvicorn's; but a socket that is listened to lives on when its task has ended.

        The task, its chain of coroutines, the queue and the scope were a third of what an idle
        socket costs.
        """
        try:
            await self.app(self.scope, self.receive, self.send)
        except Exception:
            log.exception("a socket broke its application")
            self.listener = None
            self.send_500_response()
        if self.listener is None:
            if self.close_timer is None:
                self.transport.close()
            return
        del self.scope
        self.queue = cast(Any, _nowhere)
        if self.writable.is_set():
            self.writable = cast(Any, _Flag())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if (lost := self.lost) is not None:
            # All lead back to here; cut, they go without waiting for the collector.
            self.lost = self.listener = self.direct = None
            lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.direct is not None:
            self.direct.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.direct is not None:
            self.direct.resume()

    def data_received(self, data: bytes) -> None:
        """Read a whole frame of text at once; everything else goes the library's own way.

        Nearly every read is one short frame, and taking it apart byte by byte in a generator
        would cost more than all that chat does with it.
        """
        if self.at_rest and (payload := _whole_text(data)) is not None:
            self._hear(payload)
        else:
            super().data_received(data)
            self.look_at_rest()

    def look_at_rest(self) -> None:
        """Only the library's own reading changes this, and a closing."""
        conn = self.conn
        self.at_rest = (
            self.listener is not None
            and not self.close_sent
            and conn.current_size is None
            and conn.state is State.OPEN
            and _waits_for_a_frame(conn.parser)
        )

    def send_receive_event_to_app(self) -> None:
        if self.listener is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type != "text":
            self.listener(None)
            return
        self._hear(data)

    def _hear(self, data: bytes | bytearray) -> None:
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        assert self.listener is not None
        self.listener(text)


def _into_nothing(frames: bytes) -> None:
    """Where the frames of a closed socket go."""


class DirectSocket:
    """Writes framed bytes to uvicorn's transport.

    While its client reads, `send` is the transport's own `write`: of what a delivery costs outside
    the kernel, asking each socket how it is was the most.
    """

    __slots__ = ("_limit", "_protocol", "send")

    def __init__(self, protocol: GatorProtocol, limit: int) -> None:
        self._protocol = protocol
        self._limit = limit
        self.send: Callable[[bytes], object] = protocol.transport.write
        protocol.direct = self
        if not protocol.writable.is_set():
            self.pause()

    def pause(self) -> None:
        """64 KB wait: from here on each frame asks whether there is room for it."""
        if self.send is not _into_nothing:
            self.send = self._send_if_there_is_room

    def resume(self) -> None:
        if self.send is not _into_nothing:
            self.send = self._protocol.transport.write

    def _send_if_there_is_room(self, frames: bytes) -> None:
        transport = self._protocol.transport
        if transport.get_write_buffer_size() + len(frames) > self._limit:
            # No close frame would get through either; its client resumes from the database.
            self.send = _into_nothing
            transport.abort()
        else:
            transport.write(frames)

    def close(self, code: int, reason: str) -> None:
        protocol = self._protocol
        if protocol.close_sent or protocol.disconnected or protocol.transport.is_closing():
            return
        self.send = _into_nothing
        protocol.at_rest = False
        protocol.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        protocol.conn.send_close(code, reason)
        protocol.transport.write(b"".join(protocol.conn.data_to_send()))
        protocol.close_sent = True
        protocol.close_timer = protocol.loop.call_later(1.0, protocol.transport.close)

    def listen(self, listener: Listener, lost: Callable[[], None]) -> bool:
        if self._protocol.disconnected:
            return False
        self._protocol.listener, self._protocol.lost = listener, lost
        self._protocol.look_at_rest()
        return True


class AsgiSocket:
    """Sends by ASGI events from a bounded queue of its own."""

    def __init__(self, send: Send, limit: int) -> None:
        self._send = send
        self._limit = limit
        self._waiting: list[bytes] = []
        self._size = 0
        self._closing: tuple[int, str] | None = None
        self._cut = False
        self._task: asyncio.Task[None] | None = None

    def send(self, frames: bytes) -> None:
        if self._cut or self._closing:
            return
        texts = list(texts_in(frames))
        self._size += sum(map(len, texts))
        if self._size > self._limit:
            self._cut = True
            self.close(1013, "too slow")
            return
        self._waiting += texts
        self._wake()

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = (code, reason)
            self._wake()

    def listen(self, listener: Listener, lost: Callable[[], None]) -> bool:
        return False

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._waiting and not self._cut:
                texts, self._waiting = self._waiting, []
                for text in texts:
                    await self._send({"type": "websocket.send", "text": text.decode()})
                    self._size -= len(text)
                self._size = max(0, self._size) if self._waiting else 0
            if self._closing:
                code, reason = self._closing
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception as error:
            # The server says by an exception that the client has gone; the reader sees it too.
            self._cut = True
            log.debug("socket gone while sending", error=type(error).__name__)


def open_socket(scope: Any, send: Send, *, limit: int) -> Socket:
    """The best socket that the server under us offers."""
    protocol = (scope.get("extensions") or {}).get(EXTENSION)
    if isinstance(protocol, GatorProtocol):
        # The handshake is over; kept, it would be some 3 KB of every idle socket.
        scope["headers"] = []
        del protocol.request, protocol.response
        return DirectSocket(protocol, limit)
    return AsgiSocket(send, limit)
