from django.conf import settings
from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    job_model = apps.get_model("backups", "BackupJob")
    schedule, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        hour="2",
        minute="30",
        day_of_week="*",
        day_of_month="*",
        month_of_year="*",
        timezone=settings.TIME_ZONE,
    )
    job, _ = job_model.objects.get_or_create(
        name="Daily",
        defaults={"schedule": schedule, "keep_days": settings.BACKUP_RETENTION_DAYS},
    )
    # As services.save_job writes it.
    job.task, _ = apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=f"Backup: {job.name}",
        defaults={
            "task": "create_automated_backup",
            "queue": "work",
            "crontab": job.schedule,
            "args": f'["{job.pk}"]',
            "description": "Made by the backup job of this name; change it there.",
        },
    )
    job.save()
    periodic.add_daily(
        apps,
        name="Clean up old backups",
        task="cleanup_old_backups",
        hour=5,
        minute=0,
        queue="work",
        about="Deletes backups that no rule keeps, and what old restores replaced.",
    )
    periodic.add_daily(
        apps,
        name="Backup drill",
        task="drill_backup",
        hour=4,
        minute=0,
        weekday="0",
        queue="work",
        about="Restores the newest backup into a scratch place every Sunday, and compares.",
    )
    periodic.add_interval(
        apps,
        name="Check backups",
        task="check_backups",
        every=3600,
        queue="work",
        about="Aligns the list of backups with the storage and raises the alarm on absence.",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0001_initial"),
        ("core", "0002_periodic_tasks"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
