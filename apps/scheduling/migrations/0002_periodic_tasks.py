from django.db import migrations

from apps.core import periodic

# Name, task, seconds, queue, what it does.
INTERVALS = [
    (
        "Publish due posts",
        "process_scheduled_posts",
        2,
        "publishing",
        "Wakes the publishing worker for posts due now and in the coming seconds.",
    ),
    (
        "Take posts from dead workers",
        "reap_deliveries",
        2,
        "publishing",
        "Puts back what a stopped worker had in hand and marks what came too late.",
    ),
    (
        "Find out about unconfirmed posts",
        "reconcile_deliveries",
        5,
        "publishing",
        "Asks networks whether a post arrived when their answer was lost.",
    ),
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
        "Asks networks whether our accounts still work (each every 6 hours), and tells "
        "people before their access ends.",
    ),
    (
        "Follow up posts",
        "follow_up_posts",
        300,
        "work",
        "Fetches likes, shares and replies of what went out, where the network tells them.",
    ),
    (
        "Prepare the posts of series",
        "prepare_series",
        300,
        "work",
        "Makes the posts of series for the coming 35 days, each once.",
    ),
    (
        "Queue evergreens again",
        "requeue_evergreens",
        900,
        "work",
        "Gives posts that come back their next free slot, within the coming week.",
    ),
    (
        "Write waiting drafts",
        "write_waiting_drafts",
        60,
        "work",
        "Has personas write what was asked of them and was not begun, or was broken off.",
    ),
    (
        "Send webhooks",
        "send_webhooks",
        10,
        "work",
        "Tells webhooks what became of deliveries, and tries again what did not arrive.",
    ),
]
# Name, task, hour, minute, what it does.
DAILY = [
    (
        "Forget old drafts",
        "forget_old_drafts",
        2,
        0,
        "Deletes what personas wrote more than 90 days ago; posts made of it stay.",
    ),
    (
        "Forget old webhook messages",
        "forget_old_webhooks",
        2,
        10,
        "Deletes messages to webhooks that were settled more than 90 days ago.",
    ),
    (
        "Daily digest",
        "send_daily_digest",
        7,
        0,
        "What went out, what failed, what needs a person and what is next, as an alert.",
    ),
]


def add(apps, schema_editor):
    for name, task, every, queue, about in INTERVALS:
        periodic.add_interval(apps, name=name, task=task, every=every, queue=queue, about=about)
    for name, task, hour, minute, about in DAILY:
        periodic.add_daily(
            apps, name=name, task=task, hour=hour, minute=minute, queue="work", about=about
        )


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
