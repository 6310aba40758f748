"""tests.settings for a web process beside a running test: the test's own database, no limits."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["GATOR_CHAT_TEST_DATABASE"]
CHAT_RATE = CHAT_BURST = 1_000_000
