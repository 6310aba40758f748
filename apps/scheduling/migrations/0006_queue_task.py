from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_interval(
        apps,
        name="Queue evergreens again",
        task="requeue_evergreens",
        every=900,
        queue="work",
        about="Gives posts that come back their next free slot, within the coming week.",
    )


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0005_queues")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
