from django.db import migrations

from apps.core import periodic


def add(apps, schema_editor):
    periodic.add_interval(
        apps,
        name="Send webhooks",
        task="send_webhooks",
        every=10,
        queue="work",
        about="Tells webhooks what became of deliveries, and tries again what did not arrive.",
    )
    periodic.add_daily(
        apps,
        name="Daily digest",
        task="send_daily_digest",
        hour=7,
        minute=0,
        queue="work",
        about="What went out, what failed, what needs a person and what is next, as an alert.",
    )
    periodic.add_daily(
        apps,
        name="Forget old webhook messages",
        task="forget_old_webhooks",
        hour=2,
        minute=10,
        queue="work",
        about="Deletes messages to webhooks that were settled more than 90 days ago.",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0023_webhooks"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
