"""What many do instead: one Celery task per post with an ETA, nothing else."""

import os

from celery import Celery

app = Celery("rival", broker=os.environ["RIVAL_BROKER"])
app.conf.broker_transport_options = {"visibility_timeout": 5, "unacked_restore_limit": None}


@app.task
def post(number: int) -> None:
    """The network call: a line in a file."""
    with open(os.environ["RIVAL_LOG"], "a") as runs:
        runs.write(f"{number}\n")
