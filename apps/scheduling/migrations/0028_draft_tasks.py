from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_interval(
        apps,
        name="Write waiting drafts",
        task="write_waiting_drafts",
        every=60,
        queue="work",
        about="Has personas write what was asked of them and was not begun, or was broken off.",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0027_drafts"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
