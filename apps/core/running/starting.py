"""What `manage.py up` does before its supervisor takes over: check, lock, migrate, plan."""

import fcntl
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import import_string

from apps.core import statistics
from apps.core.models import User
from apps.core.running.supervising import Part, Plan
from gator import valkey

KINDS = ("web", "worker", "beat")
ADMIN = "admin"
# Any number will do, as long as every Gator takes the same.
MIGRATION_LOCK = 0x6A70


class CannotStart(Exception):
    """Why `up` does not start: one line that says what to do."""


def prepare(*, only: list[str], echo_logs: bool) -> Path:
    """Check, lock, migrate, make the first admin; gives the plan for the supervisor."""
    kinds = only or list(KINDS)
    var: Path = settings.GATOR_VAR
    _lock(var)
    _check_folders(var)
    if "web" in kinds:
        _check_port()
    if not settings.EMBEDDED_VALKEY:
        _check_redis()
    _check_database()
    try:
        with _one_migrates():
            _migrate()
            statistics.refresh()
            password, watch = _first_run()
    finally:
        connection.close()
    plan = _plan(var, kinds)
    plan.echo_logs = echo_logs
    plan.welcome = _welcome(kinds, password, watch)
    path = valkey.run_dir(var) / "plan.json"
    plan.save(path)
    return path


# -- Checks -------------------------------------------------------------------------------------


def _lock(var: Path) -> None:
    """Keep out a second `up`; the supervisor inherits the lock and the kernel ends it with us."""
    descriptor = os.open(valkey.run_dir(var) / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode() or "unknown"
        raise CannotStart(f"Gator is running already in {var} (process {holder}).") from None
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    os.set_inheritable(descriptor, True)


def _check_folders(var: Path) -> None:
    for path in (var, var / "logs", var / "run"):
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            probe = path / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise CannotStart(f"Cannot write to {path}: {error.strerror}.") from None


def _check_port() -> None:
    host, port = settings.GATOR_BIND
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As uvicorn does: connections that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {host}:{port}: {error.strerror}. "
                "End what uses it, or set GATOR_BIND to another HOST:PORT."
            ) from None


def _check_redis() -> None:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=3, socket_timeout=3)
    try:
        client.ping()
    except redis.RedisError as error:
        # Its text may repeat the address, which may hold a password.
        raise CannotStart(f"REDIS_URL: no answer ({type(error).__name__}).") from None
    finally:
        client.close()


def _check_database() -> None:
    """Connect once without the pool, which would wait and then say only that it waited."""
    try:
        if connection.vendor == "postgresql":
            parameters: dict[str, Any] = {**connection.get_connection_params()}
            parameters.pop("pool", None)
            psycopg.connect(**parameters, connect_timeout=5).close()
        else:
            connection.ensure_connection()
    except Exception as error:
        what = " ".join(str(error).split())
        raise CannotStart(f"The database does not answer (DATABASE_URL): {what}") from None


# -- The database -------------------------------------------------------------------------------


@contextmanager
def _one_migrates() -> Iterator[None]:
    """Of several machines that start at once, one migrates and the others wait."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def _migrate() -> None:
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    with ExitStack() as around:
        if executor.loader.applied_migrations and settings.AROUND_MIGRATION:
            _save_first(around)
        call_command("migrate", interactive=False, verbosity=0)


def _save_first(around: ExitStack) -> None:
    """A migration cannot be taken back; a backup can."""
    try:
        name = around.enter_context(import_string(settings.AROUND_MIGRATION)())
    except Exception as error:
        raise CannotStart(
            f"The backup before the migration failed, so nothing was migrated: {error} "
            "(GATOR_MIGRATE_UNSAVED=1 migrates without one.)"
        ) from error
    if name:
        print(f"gator: backed up as {name} before migrating", flush=True)  # noqa: T201


def password_file() -> Path:
    return Path(settings.GATOR_VAR) / "admin_password"


def _first_run() -> tuple[str, str]:
    """Make the first admin and the demo, once; gives the new password and the page to watch."""
    if User.objects.filter(is_superuser=True).exists():
        return "", ""
    if User.objects.filter(username=ADMIN).exists():
        raise CannotStart(f"Nobody is superuser, and {ADMIN!r} is: manage.py createsuperuser.")
    password = settings.GATOR_ADMIN_PASSWORD
    if not password:
        password = secrets.token_urlsafe(12)
        file = password_file()
        file.touch(mode=0o600)
        file.write_text(f"{password}\n")
    User.objects.create_superuser(username=ADMIN, password=password)
    watch = str(import_string(settings.FIRST_RUN)()) if settings.FIRST_RUN else ""
    return password, watch


# -- The plan -----------------------------------------------------------------------------------


def python_path() -> str:
    """Where children find Gator: the working directory stays, and with it relative settings."""
    return os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))


def _plan(var: Path, kinds: list[str]) -> Plan:
    run = valkey.run_dir(var)
    plan = Plan(
        parts=[],
        logs=str(var / "logs"),
        control=str(run / "control.sock"),
        # Threads would otherwise each grow a heap of their own.
        environment={"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"},
    )
    if settings.EMBEDDED_VALKEY:
        binary = valkey.server_binary()
        if binary is None:
            raise CannotStart("No Valkey for this machine: install one, or set REDIS_URL.")
        command = valkey.server_command(var, binary)
        plan.parts.append(Part(name="valkey", command=command, writes=False))
        plan.valkey = str(run / "valkey.sock")
    if "web" in kinds:
        plan.parts.append(Part(name="web", command=_web()))
        plan.web = settings.GATOR_BIND
    if "worker" in kinds:
        for name, (queues, threads) in settings.WORKERS.items():
            plan.parts.append(Part(name=name, command=_worker(name, queues, threads)))
    if "beat" in kinds:
        plan.parts.append(Part(name="beat", command=_celery("beat", "--pidfile=")))
    return plan


def _web() -> list[str]:
    host, port = settings.GATOR_BIND
    options = {
        "host": host,
        "port": str(port),
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "off",
        # uvicorn's own protocol with two doors more; chat writes frames once for all receivers.
        "ws": "apps.chat.wire:GatorProtocol",
        "ws-max-size": str(settings.CHAT_MAX_BUFFER),
        "ws-per-message-deflate": "false",
        "backlog": "4096",
        # Only a proxy on this machine may say whom it speaks for.
        "forwarded-allow-ips": "127.0.0.1,::1",
        "timeout-graceful-shutdown": "3",
    }
    flags = ["--no-access-log", "--no-server-header", "--proxy-headers"]
    pairs = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "uvicorn", "gator.asgi:application", *pairs, *flags]


def _worker(name: str, queues: list[str], threads: int) -> list[str]:
    return _celery(
        "worker",
        f"--hostname={name}@%h",
        f"--queues={','.join(queues)}",
        f"--concurrency={threads}",
        # Talk among workers that nothing here needs, and a second of start-up.
        "--without-gossip",
        "--without-mingle",
    )


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "gator", "--quiet", *arguments]


def _welcome(kinds: list[str], password: str, watch: str) -> str:
    url = settings.GATOR_PUBLIC_URL
    if "web" not in kinds:
        return f"\n  Gator's {', '.join(kinds)} run. Ctrl-C stops them.\n"
    lines = [f"  Open      {url}/admin/", f"  Sign in   {ADMIN}"]
    if password and password != settings.GATOR_ADMIN_PASSWORD:
        lines.append(f"  Password  {password}   (also in {_short(password_file())})")
    elif password:
        lines.append("  Password  what GATOR_ADMIN_PASSWORD says")
    elif password_file().exists():
        lines.append(f"  Password  at first the one in {_short(password_file())}")
    if watch:
        lines.append(f"  Watch     {url}{watch}   (a first post is on its way)")
    title = "Gator is running."
    if sys.stdout.isatty():
        title = f"\033[1;32m{title}\033[0m"
    end = f"  Logs are in {_short(settings.GATOR_VAR / 'logs')}. Ctrl-C stops everything."
    return "\n".join(["", f"  {title}", "", *lines, "", end, ""])


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
