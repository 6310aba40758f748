"""The keys that seal credentials at rest: a file of `id:key` lines, newest first."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


class KeyMissing(Exception):
    """A sealed value names a key that is not in the key file: the account must reconnect."""


def key_file() -> Path:
    return Path(settings.KEYS_DIR) / "credential_keys"


@contextmanager
def _alone() -> Iterator[None]:
    """Two processes that both find no key, or both rotate, must not overwrite each other's."""
    # Whatever the umask: `up` starts with no file beside the keys that others can read.
    descriptor = os.open(key_file().with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(keys: dict[str, str]) -> None:
    path = key_file()
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{key_id}:{key}\n" for key_id, key in keys.items())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _parsed.cache_clear()


@lru_cache(maxsize=4)
def _parsed(path: Path, modified_ns: int) -> dict[str, str]:
    lines = [line.partition(":") for line in path.read_text().split()]
    return {key_id: key for key_id, _, key in lines}


def keys() -> dict[str, str]:
    """Every key by its id, newest first; the first call on a new installation makes one."""
    path = key_file()
    if not path.exists():
        with _alone():
            if not path.exists():
                _add({})
    # The file's time is part of the cache's key: a rotation reaches every running process.
    return _parsed(path, path.stat().st_mtime_ns)


def add_key() -> str:
    """Put a new key first, keep the old ones for what they sealed, and return its id."""
    older = keys()
    with _alone():
        return _add(older)


def _add(older: dict[str, str]) -> str:
    key_id = secrets.token_hex(4)
    _write({key_id: Fernet.generate_key().decode(), **older})
    return key_id


def drop(key_ids: set[str]) -> None:
    """Forget these keys; what is still sealed with one of them can never be opened again."""
    with _alone():
        _write({key_id: key for key_id, key in keys().items() if key_id not in key_ids})


def newest() -> str:
    """The id of the key that seals now."""
    return next(iter(keys()))


def seal(plain: bytes) -> str:
    """`id:token`, encrypted and authenticated with the newest key (Fernet: AES-CBC and HMAC)."""
    key_id = newest()
    return f"{key_id}:{Fernet(keys()[key_id]).encrypt(plain).decode()}"


def unseal(stored: str) -> bytes:
    """The plain bytes; raises KeyMissing when the key is not here or does not fit."""
    if not stored:
        return b"{}"
    key_id, _, token = stored.partition(":")
    key = keys().get(key_id)
    if key is None:
        raise KeyMissing(f"Sealed with key {key_id}, which is not in {key_file().name}.")
    try:
        return Fernet(key).decrypt(token.encode())
    except InvalidToken:
        raise KeyMissing(f"Key {key_id} in {key_file().name} does not open this value.") from None
