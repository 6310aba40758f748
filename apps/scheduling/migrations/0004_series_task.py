from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_interval(
        apps,
        name="Prepare the posts of series",
        task="prepare_series",
        every=300,
        queue="work",
        about="Makes the posts of series for the coming 35 days, each once.",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0003_series"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
