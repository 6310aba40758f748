"""Database work beside the event loop: a few threads with connections that stay open.

Channels' own helper closes the connection after every call; here that would be most of the cost.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

THREADS = 4
_pool: ThreadPoolExecutor | None = None


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(THREADS, thread_name_prefix="chat-db")
    return _pool


def steadily(work: Callable[[], T]) -> T:
    """Do `work` again on a fresh connection when the one at hand turned out to be dead."""
    try:
        return work()
    except (OperationalError, InterfaceError):
        connection.close()
        return work()
    finally:
        if connection.errors_occurred:
            connection.close()


@lru_cache(maxsize=50_000)
def _parsed(text: str) -> UUID:
    # The same people and conversations are read again every second.
    return UUID(text)


def as_uuid(value: Any) -> UUID:
    """An id as it came from the database at hand."""
    return value if isinstance(value, UUID) else _parsed(value)


def rows_of(statement: str, ids: Iterable[UUID]) -> list[tuple[Any, ...]]:
    """What a statement with `IN (ids)` finds, as the driver gives it.

    For what is asked of everybody who is here, every second: Django would spend more on making
    its fields of the rows than the database on finding them.
    """
    kept = [each.hex if connection.vendor == "sqlite" else each for each in ids]
    if not kept:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("(ids)", f"({','.join(['%s'] * len(kept))})"), kept)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


async def run(work: Callable[[], T]) -> T:
    """`work` in a database thread."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), steadily, work)


def close_all() -> None:
    """End the threads and their connections; the next call makes new ones."""
    global _pool
    if _pool is not None:
        pool, _pool = _pool, None
        # All meet before they go on, so that each thread closes its own and none closes twice.
        everybody = threading.Barrier(THREADS)

        def close() -> None:
            everybody.wait(timeout=10)
            connection.close()

        for _ in range(THREADS):
            pool.submit(close)
        pool.shutdown()


# A query costs about the same for one key as for ten. When several were asked for while the last
# one ran, the next begins this long after it began; what is asked for alone waits for nobody.
PACE_SECONDS = 0.02
SEVERAL = 3


class Loader(Generic[Key, Value]):
    """Gathers what is asked for within a moment into one query: a thousand connects ask alike."""

    def __init__(self, load: Callable[[list[Key]], dict[Key, Value]], *, most: int = 500) -> None:
        self._load = load
        self._most = most
        # Whoever asks for the same waits for itself: one that gives up takes nothing from another.
        self._asked: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._busy = False

    def get(self, key: Key) -> Awaitable[Value | None]:
        """The value for `key`, None when there is none."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Value | None] = loop.create_future()
        self._asked.setdefault(key, []).append(future)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._start)
        return future

    def _start(self) -> None:
        asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._asked:
                began = loop.time()
                keys = list(self._asked)[: self._most]
                await self._answer({key: self._asked.pop(key) for key in keys})
                if len(keys) >= SEVERAL and (pause := began + PACE_SECONDS - loop.time()) > 0:
                    await asyncio.sleep(pause)
        finally:
            self._busy = False

    async def _answer(self, asked: dict[Key, list[asyncio.Future[Value | None]]]) -> None:
        keys = list(asked)
        try:
            found = await run(lambda: self._load(keys))
        except Exception as error:
            for future in chain.from_iterable(asked.values()):
                if not future.done():
                    future.set_exception(error)
                    future.exception()
            return
        for key, futures in asked.items():
            for future in futures:
                if not future.done():
                    future.set_result(found.get(key))


def chunked(items: Iterable[T], size: int) -> Iterable[list[T]]:
    """Lists of at most `size`."""
    everything = list(items)
    return (everything[start : start + size] for start in range(0, len(everything), size))
