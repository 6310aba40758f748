from django.db import migrations

from apps.core import periodic

TASKS = [
    (
        "Read waiting comments",
        "read_waiting_comments",
        60,
        "Reads the mood of comments that came in and were not read at once.",
    ),
    (
        "Watch for spikes of negative comments",
        "watch_comments",
        300,
        "Tells people, and holds a persona whose watch says so.",
    ),
    (
        "Fetch competitors",
        "fetch_competitors",
        120,
        "Fetches posts and comments of tracked competitors on Bluesky and Mastodon (each every "
        "3 hours).",
    ),
]


def add(apps, schema_editor):
    for name, task, every, about in TASKS:
        periodic.add_interval(apps, name=name, task=task, every=every, queue="work", about=about)
    # One rule for everybody; it tells, and holds nobody until staff say so.
    apps.get_model("sentiment", "Watch").objects.get_or_create(persona=None)


class Migration(migrations.Migration):
    dependencies = [
        ("sentiment", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
