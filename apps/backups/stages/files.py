"""The content folder's stage: a sibling folder, exchanged by rename."""

import os
import shutil
from pathlib import Path

from apps.backups.errors import BackupError
from apps.backups.stages.base import Position


def fsync_folder(path: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ContentStage:
    """The uploaded files."""

    def __init__(self, live: Path, number: str) -> None:
        self.live = live
        self.staged = live.with_name(f".{live.name}.restore-{number}")
        self.previous = live.with_name(f".{live.name}.before-{number}")

    def preflight(self) -> None:
        if os.path.ismount(self.live):
            raise BackupError(
                f"{self.live} is a mount point and cannot be renamed: mount its parent instead."
            )
        if not os.access(self.live.parent, os.W_OK):
            raise BackupError(f"{self.live.parent} is not writable: the content lies there.")

    def prepare(self) -> None:
        self.discard()

    def discard(self) -> None:
        shutil.rmtree(self.staged, ignore_errors=True)

    def position(self) -> Position:
        if self.staged.exists():
            return Position.STAGED
        return Position.SWITCHED if self.previous.exists() else Position.NOTHING

    def switch(self) -> None:
        if self.position() != Position.STAGED:
            return
        # Killed between the two renames, the next call begins with the second.
        if not self.previous.exists():
            if not self.live.exists():
                self.live.mkdir(mode=0o700)
            self.live.rename(self.previous)
        self.staged.rename(self.live)
        fsync_folder(self.live.parent)

    def unswitch(self) -> None:
        if not self.previous.exists():
            return
        if self.live.exists() and not self.staged.exists():
            self.live.rename(self.staged)
        self.previous.rename(self.live)
        fsync_folder(self.live.parent)

    def drop_previous(self) -> None:
        shutil.rmtree(self.previous, ignore_errors=True)
