"""gator.settings with a stand-in network of each kind and short leases."""

import os
from datetime import timedelta

from gator.settings import *  # noqa: F403
from gator.settings import VOICES

_OPTIONS = {"server": os.environ.get("STANDIN_URL", "")}
PUBLISHERS = {
    "keyed": {"BACKEND": "tests.faults.publisher.Keyed", "OPTIONS": _OPTIONS},
    "listable": {"BACKEND": "tests.faults.publisher.Listable", "OPTIONS": _OPTIONS},
    "blind": {"BACKEND": "tests.faults.publisher.Blind", "OPTIONS": _OPTIONS},
}
# Three seconds for an answer: long enough to be killed in the middle of it.
VOICES = {**VOICES, "slow": {"BACKEND": "tests.faults.voice.Slow"}}
# The part of its packets that a chat process loses on purpose.
CHAT_TEST_HUB_LOSS = float(os.environ.get("CHAT_TEST_HUB_LOSS", "0"))
# The tests made their users with it.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
GATOR_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
# A call ends within 3 s (tests.faults.publisher), so within half a lease and before its end.
PUBLISHING_LEASE = timedelta(seconds=8)
PUBLISHING_SETTLE = timedelta(seconds=2)
