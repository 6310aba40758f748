from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_interval(
        apps,
        name="Take answers from dead workers",
        task="reap_replies",
        every=5,
        queue="replies",
        about="Wakes personas' answers that nobody writes.",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
