"""Backups in the admin: jobs to edit, runs to look at, and what may be done with them."""

import tarfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_POST
from unfold.decorators import action, display

from apps.backups import manifest, services
from apps.backups.errors import BackupError
from apps.backups.models import BackupJob, BackupRun
from apps.backups.progress import human_bytes
from apps.backups.shelves import read_manifest, shelf_of
from apps.core import audit
from apps.core.admin.base import ReadOnlyAdmin, StudioAdmin, acting
from apps.core.shown import badge, when

TONES = {"queued": "quiet", "running": "info", "done": "good", "failed": "bad", "deleted": "quiet"}


@admin.register(BackupJob)
class BackupJobAdmin(StudioAdmin):
    """What is backed up by itself, when, and how long it is kept."""

    list_display = ("name", "on", "at", "what", "keeps", "next_run")
    fieldsets = (
        (None, {"fields": ("name", "is_enabled", "schedule", "what", "storage", "is_encrypted")}),
        ("Keep", {"fields": ("keep_days", "keep_daily", "keep_weekly", "keep_monthly")}),
    )

    @display(description="Runs", ordering="is_enabled")
    def on(self, job: BackupJob) -> Any:
        return badge("good", "On") if job.is_enabled else badge("quiet", "Off")

    @display(description="Schedule")
    def at(self, job: BackupJob) -> str:
        return str(job.schedule.human_readable)

    @display(description="Keeps")
    def keeps(self, job: BackupJob) -> str:
        return (
            f"{job.keep_days} days; {job.keep_daily} daily, "
            f"{job.keep_weekly} weekly, {job.keep_monthly} monthly"
        )

    @display(description="Next run")
    def next_run(self, job: BackupJob) -> Any:
        if not job.is_enabled or job.task is None:
            return "–"
        last = job.task.last_run_at or timezone.now()
        remaining = job.task.schedule.remaining_estimate(last)
        # A moment passes between its clock and ours: half past two is not 02:29.
        return when(timezone.now() + remaining + timedelta(seconds=1))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "schedule":
            # "At 02:30 AM, every day UTC", not "30 2 * * *".
            field.label_from_instance = lambda schedule: str(schedule.human_readable)
        return field

    def save_model(self, request: HttpRequest, obj: BackupJob, form: Any, change: bool) -> None:
        services.save_job(obj, by=acting(request))

    def delete_model(self, request: HttpRequest, obj: BackupJob) -> None:
        services.delete_job(obj, by=acting(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for job in queryset:
            services.delete_job(job, by=acting(request))


@admin.register(BackupRun)
class BackupRunAdmin(ReadOnlyAdmin):
    """Every backup: how large, how fast, read again when, proven when."""

    list_display = ("started", "state_", "parts", "size_", "pace", "read", "proof")
    list_display_links = ("started",)
    list_filter = ("state", "kind", "what")
    search_fields = ("name", "error")
    actions = ("verify_selected", "drill_selected")
    actions_list = ("back_up_now",)
    actions_detail = ("download",)
    fieldsets = (
        ("Trust", {"fields": (("read", "proof"), "encryption")}),
        ("What", {"fields": ("name", "kind", "what", "storage", "job", "requested_by")}),
        (
            "Time and size",
            {"fields": (("started", "finished"), ("took_", "speed"), ("size_", "plain"))},
        ),
        ("Log", {"fields": ("log_",)}),
    )
    readonly_fields = ("state_", "started", "finished", "took_", "speed", "size_", "plain", "read",
                       "proof", "encryption", "warnings_", "log_")  # fmt: skip

    @display(description="Started", ordering="started_at")
    def started(self, run: BackupRun) -> Any:
        return when(run.started_at)

    @display(description="Finished", ordering="finished_at")
    def finished(self, run: BackupRun) -> Any:
        return when(run.finished_at)

    @display(description="State", ordering="state")
    def state_(self, run: BackupRun) -> Any:
        if run.problem:
            return badge("bad", "Damaged", run.problem)
        if run.state == BackupRun.State.RUNNING or run.stage:
            share = "" if run.percent is None else f" {run.percent}%"
            return badge("info", f"{run.stage or 'Starting'}{share}", human_bytes(run.done_bytes))
        label = run.get_state_display()
        if run.state == BackupRun.State.DONE and run.warnings:
            return badge("warn", f"{label}, with warnings", "\n".join(run.warnings))
        return badge(TONES[run.state], label, run.error)

    @display(description="What", ordering="what")
    def parts(self, run: BackupRun) -> Any:
        """With its kind in one column, as below: all that matters fits on one screen then."""
        what = {"all": "All", "db": "Database", "content": "Content"}[run.what]
        return _above(what, run.get_kind_display())

    @display(description="Size", ordering="size")
    def size_(self, run: BackupRun) -> str:
        return human_bytes(run.size).replace(" ", "\N{NO-BREAK SPACE}") if run.size else "–"

    @display(description="Before packing", ordering="plain_size")
    def plain(self, run: BackupRun) -> str:
        return human_bytes(run.plain_size) if run.plain_size else "–"

    @display(description="Took")
    def took_(self, run: BackupRun) -> str:
        return f"{run.took.total_seconds():.1f} s" if run.took else "–"

    @display(description="Speed")
    def speed(self, run: BackupRun) -> str:
        return f"{human_bytes(run.bytes_per_second)}/s" if run.bytes_per_second else "–"

    @display(description="Took")
    def pace(self, run: BackupRun) -> Any:
        if not run.bytes_per_second:
            return self.took_(run)
        return _above(self.took_(run), self.speed(run))

    @display(description="Verified", ordering="verified_at")
    def read(self, run: BackupRun) -> Any:
        # Once it was whole; the log still says when.
        return "–" if run.problem else when(run.verified_at)

    @display(description="Proven", ordering="proven_at")
    def proof(self, run: BackupRun) -> Any:
        return when(run.proven_at)

    @display(description="Encrypted")
    def encryption(self, run: BackupRun) -> str:
        return "Yes" if run.is_encrypted else "No"

    @display(description="Warnings")
    def warnings_(self, run: BackupRun) -> Any:
        return format_html_join("", "<p>{}</p>", ((each,) for each in run.warnings)) or "–"

    @display(description="In UTC")
    def log_(self, run: BackupRun) -> Any:
        return format_html('<pre class="g-log">{}</pre>', run.log) if run.log else "–"

    def get_fieldsets(self, request: HttpRequest, obj: BackupRun | None = None) -> Any:
        """What went wrong comes first, if anything did: it is why somebody looks."""
        fields = ["state_"]
        if obj is not None:
            said = {"error": obj.error, "problem": obj.problem, "warnings_": obj.warnings}
            fields += [name for name, words in said.items() if words]
        return [(None, {"fields": fields}), *super().get_fieldsets(request, obj)]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The list, which loads itself again while something goes on."""
        waits = BackupRun.objects.busy().exists()
        return super().changelist_view(request, {**(extra_context or {}), "waits": waits})

    # -- What may be done -----------------------------------------------------------------------

    def has_start_permission(self, request: HttpRequest) -> bool:
        """Who may have backups made: as in the API, whoever may add one."""
        return request.user.has_perm("backups.add_backuprun")

    def has_check_permission(self, request: HttpRequest) -> bool:
        """Who may have them read again."""
        return request.user.has_perm("backups.change_backuprun")

    def has_download_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """A backup holds everything: superusers only, and only where there is one."""
        if object_id is not None:
            run = self.get_object(request, object_id)
            if run is None or run.state != BackupRun.State.DONE:
                return False
        return bool(request.user.is_superuser)

    def get_urls(self) -> list[Any]:
        start = path(
            "start/",
            self.admin_site.admin_view(require_POST(self.start)),
            name="backups_backuprun_start",
        )
        return [start, *super().get_urls()]

    @action(description="Back up now", permissions=["start"], url_path="back-up-now")
    def back_up_now(self, request: HttpRequest) -> HttpResponse:
        """A link of the list: a page of its own asks, because a GET changes nothing."""
        context = {**self.admin_site.each_context(request), "title": "Back up now",
                   "opts": self.opts}  # fmt: skip
        return TemplateResponse(request, "admin/backups/start.html", context)

    def start(self, request: HttpRequest) -> HttpResponse:
        """Have a worker make a backup."""
        if not self.has_start_permission(request):
            raise PermissionDenied
        try:
            services.start_backup(by=acting(request))
        except BackupError as error:
            self.message_user(request, str(error), messages.WARNING)
        else:
            self.message_user(request, "A backup is being made.", messages.SUCCESS)
        return redirect(reverse("admin:backups_backuprun_changelist"))

    @admin.action(description="Verify: read every byte again", permissions=["check"])
    def verify_selected(self, request: HttpRequest, queryset: Any) -> None:
        self._each(request, queryset, services.start_verification, "will be read again")

    @admin.action(description="Drill: restore into a scratch place", permissions=["check"])
    def drill_selected(self, request: HttpRequest, queryset: Any) -> None:
        self._each(request, queryset, services.start_drill, "will be restored for trial")

    def _each(
        self, request: HttpRequest, queryset: Any, verb: Callable[..., None], done: str
    ) -> None:
        skipped, count = [], 0
        for run in queryset:
            try:
                verb(run, by=acting(request))
                count += 1
            except BackupError as error:
                skipped.append(str(error))
        self.say_skipped(request, f"{count} {done}." if count else "", skipped)

    @action(description="Download", permissions=["download"], url_path="download")
    def download(self, request: HttpRequest, object_id: str) -> Any:
        """The three files in one tar, streamed as they lie there."""
        run = get_object_or_404(BackupRun, pk=object_id, state=BackupRun.State.DONE)
        shelf = shelf_of(run.storage)
        made = read_manifest(shelf, run.name)
        audit.record(actor=acting(request), action="download backup", about=run)
        raw = b"".join(shelf.read(run.name, manifest.FILE_NAME))
        files = [(each.name, each.bytes, shelf.read(run.name, each.name)) for each in made.archives]
        chunks = _tar(run.name, [*files, (manifest.FILE_NAME, len(raw), iter([raw]))])
        answer = StreamingHttpResponse(chunks, content_type="application/x-tar")
        answer["Content-Disposition"] = f'attachment; filename="{run.name}.tar"'
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


def _above(first: str, second: str) -> Any:
    quiet = second.replace(" ", "\N{NO-BREAK SPACE}")
    return format_html('{}<br><span class="g-quiet">{}</span>', first, quiet)


def _tar(folder: str, files: list[tuple[str, int, Iterator[bytes]]]) -> Iterator[bytes]:
    for name, size, chunks in files:
        member = tarfile.TarInfo(f"{folder}/{name}")
        member.size, member.mode = size, 0o600
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield from chunks
        yield b"\0" * (-size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)
