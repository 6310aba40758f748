from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_interval(
        apps,
        name="Fetch competitors",
        task="fetch_competitors",
        every=120,
        queue="work",
        about="Fetches posts and comments of tracked competitors on Bluesky and Mastodon (each every "
        "3 hours).",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("sentiment", "0030_fetching_competitors"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
