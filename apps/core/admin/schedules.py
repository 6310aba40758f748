"""django-celery-beat's schedules in our look, with the next and the last run."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.utils import timezone
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.core.admin.base import ReadOnlyInline, StudioAdmin
from apps.core.shown import badge, when

for model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(model)


class TaskSelect(UnfoldAdminSelectWidget, beat.TaskSelectWidget):  # type: ignore[misc]
    """The registered tasks, as a list in our look."""


class PeriodicTaskForm(beat.PeriodicTaskForm):  # type: ignore[misc]
    """A periodic task, its fields in our look."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Somebody who may only look gets no fields.
        if "task" in self.fields:
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
            self.fields["regtask"].widget = TaskSelect()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(StudioAdmin, beat.PeriodicTaskAdmin):  # type: ignore[misc]
    """What runs by itself, how often, and whether it did."""

    form = PeriodicTaskForm
    list_display = ("name", "on", "schedule_", "last_run", "next_run", "total_run_count")
    list_filter = ("enabled",)
    date_hierarchy = None

    @display(description="Runs", ordering="enabled")
    def on(self, row: PeriodicTask) -> Any:
        return badge("good", "On") if row.enabled else badge("quiet", "Off")

    @display(description="Schedule")
    def schedule_(self, row: PeriodicTask) -> str:
        if row.crontab:
            return f"{row.crontab.human_readable} ({row.crontab.timezone})"
        return str(row.scheduler)

    @display(description="Last run", ordering="last_run_at")
    def last_run(self, row: PeriodicTask) -> Any:
        return when(row.last_run_at) if row.last_run_at else "Never"

    @display(description="Next run")
    def next_run(self, row: PeriodicTask) -> Any:
        if not row.enabled:
            return "–"
        rest = row.schedule.remaining_estimate(row.last_run_at or timezone.now())
        # What is due already runs at beat's next tick.
        return when(timezone.now() + max(rest, timedelta()))


class TasksInline(ReadOnlyInline):
    """The tasks that use a schedule."""

    model = PeriodicTask
    fields = ("name", "task", "enabled")
    verbose_name_plural = "Used by"
    show_change_link = True


@admin.register(IntervalSchedule, SolarSchedule)
class ScheduleAdmin(StudioAdmin):
    """A schedule that tasks can share."""

    inlines = (TasksInline,)


@admin.register(CrontabSchedule)
class CrontabAdmin(ScheduleAdmin, beat.CrontabScheduleAdmin):  # type: ignore[misc]
    """Times of day and days, in a zone."""

    inlines = (TasksInline,)


@admin.register(ClockedSchedule)
class ClockedAdmin(ScheduleAdmin, beat.ClockedScheduleAdmin):  # type: ignore[misc]
    """One moment."""

    inlines = (TasksInline,)
