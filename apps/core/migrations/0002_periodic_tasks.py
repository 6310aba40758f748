from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_daily(
        apps,
        name="Clean up old rows",
        task="cleanup_old_tasks",
        hour=2,
        minute=0,
        queue="work",
        about="Deletes expired sessions, tokens and old alerts. Posts and attempts are kept.",
    )
    periodic.add_interval(
        apps,
        name="Send waiting alerts",
        task="resend_alerts",
        every=300,
        queue="work",
        about="Tries again the alerts that a channel did not take.",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
