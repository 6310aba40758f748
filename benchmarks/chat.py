"""Chat beside its rivals: CPU per delivery, latency, storing, connects, memory, answers.

`python -m benchmarks.chat [--quick]` prints a table and, as its last line, the same as JSON.
Everything runs in a temporary folder and on 127.0.0.1. Beside each figure stands the share of its
core that the load client used: well below 1, it was not the brake.
"""

import argparse
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import chat_answers
from benchmarks import chat_servers as servers
from benchmarks.chat_load import Dialect
from benchmarks.chat_measures import Figures, crowd, fan_out, small_rooms, stalled


@contextmanager
def installation() -> Iterator[Path]:
    """A migrated SQLite (synchronous=FULL) and Valkey."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gator-bench-")))
        var = folder / "var"
        var.mkdir(mode=0o700)
        os.environ |= {
            "GATOR_VAR": str(var),
            "GATOR_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "gator.settings",
            "LOG_LEVEL": "WARNING",
        }
        import django

        django.setup()
        from django.core.management import call_command

        from tests.servers import running_valkey

        call_command("migrate", verbosity=0)
        stack.enter_context(running_valkey(var))
        yield folder


def people(count: int, room_size: int) -> tuple[list[str], list[str]]:
    """Tokens of new users, and for each the id of a room of `room_size`."""
    from apps.chat import services
    from apps.core.ids import uuid7
    from apps.core.models import User
    from tests.chat.clients import token_of

    mark = uuid7().hex[-8:]
    users = [User(username=f"{mark}-{n}", password="!") for n in range(count)]
    User.objects.bulk_create(users, batch_size=500)
    rooms: list[str] = []
    for start in range(0, count, room_size):
        members = users[start : start + room_size]
        row = services.open_group(by=members[0], title="bench", users=members[1:])
        rooms += [str(row.pk)] * len(members)
    return [token_of(user) for user in users], rooms


def cookies(count: int) -> list[str]:
    """Session cookies of new users, as signing in leaves them."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    from apps.core.ids import uuid7
    from apps.core.models import User

    mark = uuid7().hex[-8:]
    users = [User(username=f"{mark}-{n}", password="!") for n in range(count)]
    User.objects.bulk_create(users, batch_size=500)
    store = SessionStore()
    rows = [
        Session(
            session_key=f"{uuid7().hex}",
            session_data=store.encode(
                {
                    SESSION_KEY: str(user.pk),
                    BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
                    HASH_SESSION_KEY: user.get_session_auth_hash(),
                }
            ),
            expire_date=timezone.now() + timedelta(days=1),
        )
        for user in users
    ]
    Session.objects.bulk_create(rows, batch_size=500)
    return [f"{settings.SESSION_COOKIE_NAME}={row.session_key}" for row in rows]


def storing(count: int) -> Figures:
    """Durable sends: group commit in full batches beside an insert and commit per message, as a
    Channels consumer makes it (the ORM, which here numbers nothing and asks nobody's leave), and
    beside Gator's own statements one message at a time."""
    from channels.db import database_sync_to_async
    from django.db import transaction

    from apps.chat import ledger, messaging
    from apps.chat.models import Conversation, Message
    from apps.core.models import User

    _, rooms = people(64, 4)
    owners = {
        str(row.pk): row.created_by_id for row in Conversation.objects.filter(pk__in=set(rooms))
    }
    assert User.objects.exists()

    def drafts(number: int) -> list[Any]:
        return [
            ledger.Draft(
                conversation_id=uuid.UUID(rooms[n % 64]),
                user_id=owners[rooms[n % 64]],
                content=f"bench {n}",
                client_id=uuid.uuid4().hex,
            )
            for n in range(number)
        ]

    some = drafts(max(count // 40, 50))

    async def through_the_orm() -> None:
        create = database_sync_to_async(Message.objects.create)
        # Numbers that nobody else takes: the real ones begin at 1.
        for seq, draft in enumerate(some, start=1_000_000):
            await create(
                conversation_id=draft.conversation_id,
                user_id=draft.user_id,
                seq=seq,
                content=draft.content,
                client_id=uuid.uuid4().hex,
            )

    began = time.perf_counter()
    uvloop.run(through_the_orm())
    by_orm = len(some) / (time.perf_counter() - began)
    began = time.perf_counter()
    for draft in some:
        with transaction.atomic():
            ledger.append([draft])
    alone = len(some) / (time.perf_counter() - began)
    many = drafts(count)
    began = time.perf_counter()
    for start in range(0, count, messaging.MOST_TOGETHER):
        messaging.store(many[start : start + messaging.MOST_TOGETHER])
    together = count / (time.perf_counter() - began)
    return {
        "orm_one_by_one_per_s": round(by_orm),
        "own_one_by_one_per_s": round(alone),
        "group_commit_per_s": round(together),
        "against_orm": round(together / by_orm, 1),
        "against_own": round(together / alone, 1),
    }


def show(title: str, rows: list[Figures]) -> None:
    print(f"\n{title}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    print("  ".join(f"{name:>18}" for name in names))
    for row in rows:
        print("  ".join(f"{str(row.get(name, ''))[:34]:>18}" for name in names))


def rival(name: str, home: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """How a rival is started."""
    redis = f"unix://{os.environ['GATOR_VAR']}/run/valkey.sock?db=5"
    here = str(servers.ROOT / "benchmarks" / "rivals")
    env = {"RIVAL_REDIS": redis, "PYTHONPATH": here}
    python = servers.rivals_python(home)
    if name == "bare":
        return [python, f"{here}/bare_websockets.py", str(port)], env
    if name == "socketio":
        return [
            python,
            "-m",
            "uvicorn",
            "socketio_server:app",
            "--port",
            str(port),
            "--loop",
            "uvloop",
            "--log-level",
            "warning",
            "--ws-per-message-deflate",
            "false",
        ], env
    return [python, "-m", "daphne", "-p", str(port), "-v", "0", "daphne_server:app"], env


PARTS = ("fan_out", "small_rooms", "crowd", "stalled", "storing", "answering")


GATOR, WITHOUT_DISK = "Gator", "Gator without disk"
# Without disk first: its messages end with it, and the same client ids come as new once more.
NAMES = (WITHOUT_DISK, GATOR)


def forget_processes() -> None:
    """The server before was killed and its lease lives on: the next would publish for nobody."""
    import redis
    from django.conf import settings

    from apps.chat.links import PROCESSES

    redis.Redis.from_url(settings.REDIS_URL).delete(PROCESSES)


@contextmanager
def apart(name: str) -> Iterator[dict[str, str]]:
    """What a Gator that runs beside another needs to have no peer: a Redis database of its own."""
    if name != WITHOUT_DISK:
        yield {}
        return
    with servers.without_disk() as env:
        yield env | {"REDIS_URL": f"unix://{os.environ['GATOR_VAR']}/run/valkey.sock?db=7"}


async def alone(dialect: Dialect, pid: int, members: int, rounds: int) -> Figures:
    """The fan-out of one server."""
    [row] = await fan_out([(dialect, pid)], members, rounds)
    return row


class Runs:
    """The parts of the benchmark, each with the servers that it compares."""

    def __init__(self, rivals: Path, *, quick: bool) -> None:
        self.rivals, self.quick = rivals, quick

    def _gator(
        self, work: Callable[[int, int], Coroutine[Any, Any, Figures]], name: str = GATOR
    ) -> Figures:
        port = servers.free_port()
        forget_processes()
        with ExitStack() as stack:
            env = stack.enter_context(servers.without_disk()) if name == WITHOUT_DISK else {}
            pid = stack.enter_context(
                servers.running(servers.gator_command(port), port, servers.GATOR_ENV | env)
            )
            return uvloop.run(work(port, pid))

    def _rival(
        self, name: str, work: Callable[[int, int], Coroutine[Any, Any, Figures]]
    ) -> Figures:
        port = servers.free_port()
        command, env = rival(name, self.rivals, port)
        with servers.running(command, port, env) as pid:
            return uvloop.run(work(port, pid))

    def fan_out(self) -> tuple[str, list[Figures]]:
        rows: list[Figures] = []
        for members, count in {
            100: 100 if self.quick else 400,
            1000: 20 if self.quick else 300,
        }.items():
            tokens, rooms = people(members, members)
            with ExitStack() as stack:
                # In turns with the one that is close; the others would only keep these waiting.
                bare = servers.free_port()
                command, env = rival("bare", self.rivals, bare)
                pid = stack.enter_context(servers.running(command, bare, env))
                taking_turns = [(servers.bare(bare, lambda n: "room"), pid)]
                forget_processes()
                for name in NAMES:
                    port = servers.free_port()
                    env = stack.enter_context(apart(name))
                    pid = stack.enter_context(
                        servers.running(servers.gator_command(port), port, servers.GATOR_ENV | env)
                    )
                    taking_turns.append((servers.gator(port, tokens, rooms.__getitem__, name), pid))
                rows += uvloop.run(fan_out(taking_turns, members, count))
            fewer = max(count // 4, 8)
            makers: dict[str, Any] = {"socketio": servers.socketio, "daphne": servers.daphne}
            for name, make in makers.items():
                rows.append(
                    self._rival(
                        name,
                        lambda port, pid, m=members, n=fewer, make=make: alone(  # type: ignore[misc]
                            make(port, lambda n: "room"), pid, m, n
                        ),
                    )
                )
        return "One room, one message outstanding", rows

    def small_rooms(self) -> tuple[str, list[Figures]]:
        rows = []
        seconds = 2 if self.quick else 10
        for size, rate in ((5, 500), (4, 2_000)):
            tokens, rooms = people(200, size)
            for name in NAMES:
                rows.append(
                    self._gator(
                        lambda port, pid, s=size, r=rate, t=tokens, o=rooms, name=name: small_rooms(  # type: ignore[misc]
                            servers.gator(port, t, o.__getitem__, name), pid, 200, s, seconds, r
                        ),
                        name,
                    )
                )
            rows.append(
                self._rival(
                    "bare",
                    lambda port, pid, s=size, r=rate, o=rooms: small_rooms(  # type: ignore[misc]
                        servers.bare(port, o.__getitem__), pid, 200, s, seconds, r
                    ),
                )
            )
        title = (
            "Small rooms at a fixed rate (Gator stores durably before it acks, the rival nothing)"
        )
        return title, rows

    def crowd(self) -> tuple[str, list[Figures]]:
        count = 2_000 if self.quick else 10_000
        tokens, rooms = people(count, 5)
        by_token = self._gator(
            lambda port, pid: crowd(servers.gator(port, tokens, rooms.__getitem__), pid, count)
        )
        jar = cookies(count // 4)
        by_session = [
            self._gator(
                lambda port, pid, rate=rate: crowd(  # type: ignore[misc]
                    servers.gator_by_session(port, jar), pid, len(jar), rate
                )
            )
            for rate in (0, 300)
        ]
        title = "Idle sockets: by token, joined to a room of five; by session, and at a fixed rate"
        return title, [by_token, *by_session]

    def stalled(self) -> tuple[str, list[Figures]]:
        tokens, rooms = people(20, 20)
        row = self._gator(
            lambda port, pid: stalled(
                servers.gator(port, tokens, rooms.__getitem__), pid, 20, 4 if self.quick else 20
            )
        )
        return "One of a room reads nothing", [row]

    def storing(self) -> tuple[str, list[Figures]]:
        title = "Storing on SQLite, synchronous=FULL"
        return title, [storing(2_000 if self.quick else 20_000)]

    def answering(self) -> tuple[str, list[Figures]]:
        model_port, count = servers.free_port(), 20 if self.quick else 100
        rows = chat_answers.conversations(model_port)
        port = servers.free_port()
        with (
            chat_answers.worker(),
            servers.running(servers.gator_command(port), port, servers.GATOR_ENV, core=None),
        ):
            found = uvloop.run(chat_answers.answers(port, model_port, rows, count))
        return "From sending to a persona's words, the model's own time taken off", found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="Fewer rounds and sockets.")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="Some parts of it.")
    parser.add_argument("--rivals", type=Path, help="Where the rivals are kept for the next run.")
    asked = parser.parse_args()
    cores = os.sched_getaffinity(0)
    results: dict[str, list[Figures]] = {}
    with installation() as folder:
        rivals = asked.rivals or folder / "rivals"
        servers.rivals_python(rivals)
        runs = Runs(rivals, quick=asked.quick)
        for part in asked.only:
            alone = part in ("storing", "answering")
            if len(cores) > 1:
                # The client keeps off the core of the servers; what has none may use both.
                os.sched_setaffinity(0, cores if alone else {servers.CLIENT_CORE})
            title, results[part] = getattr(runs, part)()
            show(title, results[part])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
