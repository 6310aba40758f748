"""What can go wrong with a backup or a restore, each with the exit code that scripts rely on."""

OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
NOT_FOUND, BUSY, WRONG_KEY, DAMAGED, INCOMPATIBLE, INTERRUPTED = 10, 11, 12, 13, 14, 130


class BackupError(Exception):
    """It failed; the message says what happened and what to do."""

    exit_code = FAILED


class BadRequest(BackupError):
    """What was asked for makes no sense here."""

    exit_code = USAGE


class NotFound(BackupError):
    """There is no such backup, or it was never finished."""

    exit_code = NOT_FOUND


class Busy(BackupError):
    """Another backup or restore runs, or somebody still writes."""

    exit_code = BUSY


class WrongKey(BackupError):
    """The backup is encrypted, and none of the given identities opens it."""

    exit_code = WRONG_KEY


class Damaged(BackupError):
    """Bytes differ from what the manifest promises."""

    exit_code = DAMAGED


class Incompatible(BackupError):
    """The backup is whole, but cannot be restored here."""

    exit_code = INCOMPATIBLE
