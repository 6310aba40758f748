from django.db import migrations

from apps.core import periodic

TASKS = [
    (
        "Remove posts",
        "remove_posts",
        15,
        "publishing",
        "Takes off their networks what somebody unpublished.",
    ),
    (
        "Check accounts",
        "check_accounts",
        3600,
        "work",
        "Asks networks whether our accounts still work (each every 6 hours), and tells people "
        "before their access ends.",
    ),
    (
        "Follow up posts",
        "follow_up_posts",
        300,
        "work",
        "Fetches likes, shares and replies of what went out, where the network tells them.",
    ),
]


def add(apps, schema_editor):
    for name, task, every, queue, about in TASKS:
        periodic.add_interval(
            apps, name=name, task=task, every=every, queue=queue, about=about
        )


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0025_upkeep"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
