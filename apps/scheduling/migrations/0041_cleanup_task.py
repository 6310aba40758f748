from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_daily(
        apps,
        name="Forget old drafts",
        task="forget_old_drafts",
        hour=2,
        minute=0,
        queue="work",
        about="Deletes what personas wrote more than 90 days ago; posts made of it stay.",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0040_lean_indexes"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
