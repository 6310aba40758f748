"""How far a long work is: on a terminal, as JSON lines, or in the run's row."""

import json
import os
import sys
import threading
import time
from contextlib import suppress
from typing import IO, Any

from django.db import DatabaseError

from apps.backups.models import BackupRun


def human_bytes(count: float) -> str:
    """1536000 as 1.5 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


class Progress:
    """Says nothing; the others say it somewhere."""

    every = 0.2

    def __init__(self) -> None:
        self.name, self.done, self.expected = "", 0, 0
        self._next = 0.0
        self._thread = threading.get_ident()

    def stage(self, name: str, expected: int = 0) -> None:
        """A new part of the work begins."""
        self.name, self.done, self.expected = name, 0, expected
        self._next = 0.0
        self.add(0)

    def add(self, count: int) -> None:
        """So many bytes more."""
        self.done += count
        # Encryption pulls its input in a thread of its own, which should not talk to databases.
        if threading.get_ident() != self._thread:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.every
            self.show()

    def say(self, event: str, **details: Any) -> None:
        """Something worth a line."""

    def show(self) -> None:
        """Show where we are."""

    def close(self) -> None:
        """The work is over."""


class Terminal(Progress):
    """One line that rewrites itself; plain lines when nobody watches."""

    def __init__(self, out: IO[str] | None = None, *, quiet: bool = False) -> None:
        super().__init__()
        self._out = out or sys.stderr
        self._quiet = quiet
        self._live = self._out.isatty() and os.environ.get("TERM") != "dumb" and not quiet
        self._colour = self._live and "NO_COLOR" not in os.environ

    def show(self) -> None:
        if not self._live:
            return
        share = f" {min(100, self.done * 100 // self.expected)}%" if self.expected else ""
        name = f"\x1b[1m{self.name}\x1b[0m" if self._colour else self.name
        self._out.write(f"\r\x1b[K{name} {human_bytes(self.done)}{share}")
        self._out.flush()

    def say(self, event: str, **details: Any) -> None:
        if self._quiet:
            return
        if self._live:
            self._out.write("\r\x1b[K")
        self._out.write(details.get("text", event) + "\n")
        self._out.flush()

    def close(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()


class JsonLines(Progress):
    """Events as JSON, one a line, on standard error: standard output is for the result."""

    every = 1.0

    def __init__(self, out: IO[str] | None = None) -> None:
        super().__init__()
        self._out = out or sys.stderr

    def _write(self, **fields: Any) -> None:
        self._out.write(json.dumps(fields) + "\n")
        self._out.flush()

    def show(self) -> None:
        self._write(event="progress", stage=self.name, done=self.done, expected=self.expected)

    def say(self, event: str, **details: Any) -> None:
        self._write(event=event, **details)


class OnRow(Progress):
    """In the run's row, for the admin; and wherever `also` says it."""

    every = 2.0

    def __init__(self, run: BackupRun, also: Progress | None = None) -> None:
        super().__init__()
        self._run = run
        self._also = also or Progress()
        self._began = time.monotonic()

    def stage(self, name: str, expected: int = 0) -> None:
        self._note_stage()
        self._began = time.monotonic()
        self._also.stage(name, expected)
        super().stage(name, expected)

    def _note_stage(self) -> None:
        if self.name:
            took = time.monotonic() - self._began
            self._run.note(f"{self.name}: {human_bytes(self.done)} in {took:.1f} s")

    def add(self, count: int) -> None:
        self._also.add(count)
        super().add(count)

    def show(self) -> None:
        try:
            BackupRun.objects.filter(pk=self._run.pk).update(
                stage=self.name,
                done_bytes=self.done,
                expected_bytes=self.expected,
                log=self._run.log,
            )
        except DatabaseError:
            # The bar is not worth a backup.
            self._next = time.monotonic() + 30

    def say(self, event: str, **details: Any) -> None:
        self._also.say(event, **details)

    def close(self) -> None:
        self._note_stage()
        self.name = ""
        with suppress(DatabaseError):
            BackupRun.objects.filter(pk=self._run.pk).update(stage="", log=self._run.log)
        self._also.close()
