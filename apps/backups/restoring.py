"""Restoring: verify, stage beside the live studio, compare, switch, and be able to go back.

The order is the safety. Nothing live is touched before every hash has been checked and the staged
database has been compared row by row count; then two renames decide, and the journal, written
before each step, tells a killed restore how to go on.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from django.db import connections

from apps.backups import (
    archiving,
    compatibility,
    content,
    crossing,
    finishing,
    journal,
    loading,
    locks,
    remote,
    writers,
)
from apps.backups import manifest as manifests
from apps.backups.dumpers.base import dumper_of
from apps.backups.errors import BackupError, BadRequest, NotFound, WrongKey
from apps.backups.journal import Journal, Step
from apps.backups.models import BackupRun, What
from apps.backups.progress import Progress
from apps.backups.shelves import found
from apps.backups.stages.base import DatabaseStage, Position, Stage, database_stage
from apps.backups.stages.files import ContentStage
from apps.backups.using import as_default, forget_live_connections
from apps.backups.verifying import Backup, verify

log = structlog.get_logger(__name__)

KEPT = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be restored, and how."""

    name: str
    storage: str = "backups"
    what: str = What.ALL
    dry_run: bool = False
    cross_engine: bool = False
    identities: list[object] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)


@dataclass(kw_only=True)
class Report:
    """What a restore did."""

    backup: str
    restored: bool
    rows: int = 0
    tables: int = 0
    files: int = 0
    bytes: int = 0
    # Files put back into a storage elsewhere (in a rehearsal: that would be).
    media_put_back: int = 0
    migrated: bool = False
    safety: str = ""
    previous: str = ""
    outage_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)


def open_backup(wish: Wish) -> Backup:
    """The backup behind a wish; its manifest has been checked."""
    shelf, name = found(wish.name, wish.storage)
    return Backup.at(shelf, name, wish.identities)


def restore(wish: Wish) -> Report:
    """Restore a backup, or only rehearse it; raises BackupError with everything as it was."""
    with locks.exclusive():
        open_one = journal.unfinished()
        if open_one is not None and open_one.rehearsal:
            _Plan.from_journal(open_one).discard()
        elif open_one is not None:
            raise BadRequest(
                f"The restore of {open_one.backup} was cut short: "
                "finish it with --resume, or undo it with --rollback."
            )
        return _restore(wish)


def _restore(wish: Wish) -> Report:
    backup = open_backup(wish)
    _refuse_unreadable(backup)
    verify(backup, wish.progress)
    compatibility.refuse(backup.manifest, cross_engine=wish.cross_engine, what=wish.what)
    plan = _Plan.of(backup, wish)
    report = Report(backup=backup.manifest.id, restored=False)
    report.warnings += backup.manifest.warnings
    try:
        for stage in plan.stages:
            stage.preflight()
        if not wish.dry_run:
            if not writers.are_running():
                writers.refuse_living()
            plan.note = plan.note.at(Step.STAGING, safety=_safety_backup(wish, report))
        _build(backup, wish, plan, report)
    except BaseException as error:
        # Nothing live was touched: leave no trace of the attempt.
        plan.discard()
        if isinstance(error, OSError):
            raise BackupError(f"{error.strerror or error}; nothing was changed.") from error
        raise
    if wish.dry_run:
        plan.discard()
        return report
    plan.note = plan.note.at(Step.STAGED)
    _switch(plan, wish.progress, report)
    return report


def _refuse_unreadable(backup: Backup) -> None:
    if backup.is_readable:
        return
    raise WrongKey(f"{backup.manifest.id} is encrypted: give its key with --identity FILE.")


def _safety_backup(wish: Wish, report: Report) -> str:
    live = connections["default"].settings_dict
    try:
        if dumper_of(live).is_empty() and not _has_content():
            return ""
        order = archiving.Order(
            kind=BackupRun.Kind.BEFORE_RESTORE,
            what=wish.what if not dumper_of(live).is_empty() else What.CONTENT,
            progress=wish.progress,
        )
        made = archiving.make_backup_locked(order)
    except Exception as error:
        # A studio that can no longer be read is a reason to restore, not to refuse it: the
        # present stays beside the restored for a week in any case.
        message = f"The present could not be backed up first ({error}); it is kept as it is."
        log.warning("no safety backup", error=str(error))
        report.warnings.append(message)
        return ""
    report.safety = made.id
    wish.progress.say("safety", text=f"The present is saved as {made.id}.", backup=made.id)
    return made.id


def _has_content() -> bool:
    root = content.root()
    return root.is_dir() and any(root.iterdir())


@dataclass
class _Plan:
    """The stages of one restore, in the order in which they switch."""

    note: Journal
    database: DatabaseStage | None
    files: ContentStage | None

    @classmethod
    def of(cls, backup: Backup, wish: Wish) -> "_Plan":
        has_database = backup.manifest.database is not None and wish.what != What.CONTENT
        has_content = backup.manifest.content is not None and wish.what != What.DATABASE
        if not has_database and not has_content:
            raise BadRequest(f"{backup.manifest.id} does not hold what you ask for.")
        parts = (
            What.ALL
            if has_database and has_content
            else (What.DATABASE if has_database else What.CONTENT)
        )
        note = journal.new(
            backup=backup.manifest.id,
            source=wish.name if "/" in wish.name else wish.storage,
            what=parts,
            cross_engine=wish.cross_engine,
            rehearsal=wish.dry_run,
        )
        return cls.from_journal(note)

    @classmethod
    def from_journal(cls, note: Journal) -> "_Plan":
        live = connections["default"].settings_dict
        return cls(
            note=note,
            database=None if note.what == What.CONTENT else database_stage(live, note.id),
            files=None if note.what == What.DATABASE else ContentStage(content.root(), note.id),
        )

    @property
    def stages(self) -> list[Stage]:
        return [stage for stage in (self.database, self.files) if stage is not None]

    def discard(self) -> None:
        """Remove what was staged, and the journal with it."""
        for stage in self.stages:
            try:
                stage.discard()
            except Exception as error:
                log.warning("a stage could not be removed", error=str(error))
        self.note.forget()


# -- Building beside the live studio ------------------------------------------------------------


def _build(backup: Backup, wish: Wish, plan: _Plan, report: Report) -> None:
    if plan.database is not None:
        _build_database(backup, wish, plan, plan.database, report)
    if plan.files is not None:
        archive = backup.manifest.archive(manifests.CONTENT)
        assert archive is not None
        wish.progress.stage("Content", archive.plain_bytes)
        plan.files.prepare()
        chunks = backup.plain(archive, wish.progress)
        report.files, report.bytes = content.unpack(chunks, plan.files.staged)
        _look_elsewhere(plan.files.staged, wish, report)
        content.sync(plan.files.staged)


def _look_elsewhere(staged: Path, wish: Wish, report: Report) -> None:
    """Media in a storage elsewhere are no part of the switch: compare, and put back what lacks."""
    listing = staged / remote.LIST
    if not listing.exists():
        return
    wish.progress.stage("Media elsewhere")
    outcome = remote.reconcile(listing, staged, dry_run=wish.dry_run)
    listing.unlink()
    report.media_put_back = outcome.put_back
    if outcome.missing:
        report.warnings.append(
            f"{outcome.missing} media that lay elsewhere when this backup was made are not there "
            f"as they were, and not in it: {outcome.first_missing} ..."
        )


def _build_database(
    backup: Backup, wish: Wish, plan: _Plan, stage: DatabaseStage, report: Report
) -> None:
    promised = backup.manifest.database
    assert promised is not None
    stage.prepare()
    if compatibility.crosses(backup.manifest):
        crossing.cross(backup, stage, wish.progress)
        report.migrated = True
    else:
        loading.load(backup, stage.place, wish.progress)
        report.migrated = finishing.migrate(stage.place)
    report.tables, report.rows = len(promised.rows), sum(promised.rows.values())
    finishing.try_writing(stage.place)
    if wish.dry_run:
        return
    with as_default(stage.place):
        # While it is still staged: no worker ever sees it with a post that may go out.
        finishing.settle(backup, plan.note)


# -- The switch ---------------------------------------------------------------------------------


def _switch(plan: _Plan, progress: Progress, report: Report) -> None:
    progress.stage("Switching")
    began = datetime.now(UTC)
    with _undisturbed():
        try:
            with writers.stopped():
                _exchange(plan)
        except Exception:
            if plan.note.step == Step.STAGED:
                # Somebody who writes could not be stopped; nothing live was touched.
                plan.discard()
            raise
    report.outage_seconds = round((datetime.now(UTC) - began).total_seconds(), 2)
    report.restored, report.safety = True, plan.note.safety
    report.previous = f"kept until {datetime.now(UTC) + KEPT:%Y-%m-%d}"


def _exchange(plan: _Plan) -> None:
    plan.note = plan.note.at(Step.SWITCHING)
    try:
        _forward(plan)
        plan.note = plan.note.at(Step.SWITCHED)
        finishing.smoke_test(has_database=plan.database is not None)
    except Exception as error:
        _back(plan)
        if isinstance(error, BackupError):
            raise
        raise BackupError(f"The restored studio did not work, so it was undone: {error}") from error
    finishing.purge_queues()
    plan.note = plan.note.at(Step.DONE)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the few seconds of a switch: half of one helps nobody.

    What came meanwhile is dropped when the switch succeeded: it is done, and the report says so.
    """
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
        while signal.sigpending() & signals:
            signal.sigwait(signals)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forward(plan: _Plan) -> None:
    forget_live_connections()
    for stage in plan.stages:
        stage.switch()


def _back(plan: _Plan) -> None:
    forget_live_connections()
    for stage in reversed(plan.stages):
        stage.unswitch()
    plan.note = plan.note.at(Step.ROLLED_BACK)


# -- After an interruption, or a change of mind -------------------------------------------------


def resume(wish: Wish) -> Report:
    """Finish the restore that was cut short."""
    with locks.exclusive():
        note = journal.unfinished()
        if note is None:
            raise NotFound("No restore was cut short.")
        plan = _Plan.from_journal(note)
        if note.step in (Step.STAGING, Step.STAGED):
            # Nothing live has been touched; beginning again is the shortest safe way.
            plan.discard()
            if note.rehearsal:
                return Report(backup=note.backup, restored=False)
            again = Wish(
                name=note.source if "/" in note.source else note.backup,
                storage="backups" if "/" in note.source else note.source,
                what=note.what,
                cross_engine=note.cross_engine,
                identities=wish.identities,
                progress=wish.progress,
            )
            return _restore(again)
        report = Report(backup=note.backup, restored=False)
        _switch(plan, wish.progress, report)
        return report


def rollback(progress: Progress) -> Journal:
    """Undo the restore that was cut short, or else the last one while its past is kept."""
    with locks.exclusive():
        kept = [each for each in journal.all_journals() if each.step != Step.ROLLED_BACK]
        if not kept:
            raise NotFound("There is no restore to undo.")
        plan = _Plan.from_journal(kept[-1])
        if plan.note.step in (Step.STAGING, Step.STAGED):
            plan.discard()
            return plan.note
        progress.stage("Switching back")
        with _undisturbed(), writers.stopped():
            _back(plan)
            finishing.purge_queues()
        return plan.note


def drop_previous(*, now: datetime | None = None) -> list[str]:
    """Let go of what restores older than a week had replaced."""
    moment = now or datetime.now(UTC)
    dropped = []
    for note in journal.all_journals():
        if note.is_unfinished or moment - note.began < KEPT:
            continue
        plan = _Plan.from_journal(note)
        for stage in plan.stages:
            stage.drop_previous()
            if stage.position() == Position.STAGED:
                stage.discard()
        note.forget()
        dropped.append(note.id)
    return dropped
