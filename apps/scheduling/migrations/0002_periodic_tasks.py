from django.db import migrations

from apps.core import periodic

TASKS = [
    (
        "Publish due posts",
        "process_scheduled_posts",
        2,
        "Wakes the publishing worker for posts due now and in the coming seconds.",
    ),
    (
        "Take posts from dead workers",
        "reap_deliveries",
        2,
        "Puts back what a stopped worker had in hand and marks what came too late.",
    ),
    (
        "Find out about unconfirmed posts",
        "reconcile_deliveries",
        5,
        "Asks networks whether a post arrived when their answer was lost.",
    ),
]


def add(apps, schema_editor):
    for name, task, every, about in TASKS:
        periodic.add_interval(
            apps, name=name, task=task, every=every, queue="publishing", about=about
        )


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
