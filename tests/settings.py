"""gator.settings in a temporary home of their own, with the few changes that tests need.

pytest loads this before it knows its options, so the database is read from the command line
here. xdist's workers inherit what the first process wrote into the environment.
"""

import argparse
import os
import re
import tempfile
from pathlib import Path

_parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
_parser.add_argument("--database", default="sqlite")
_chosen = _parser.parse_known_args()[0].database

TESTS_DATABASE = os.environ.setdefault("GATOR_TESTS_DATABASE", _chosen)
TESTS_HOME = Path(
    os.environ.get("GATOR_TESTS_HOME") or tempfile.mkdtemp(prefix="gator-tests-")
).resolve()
os.environ["GATOR_TESTS_HOME"] = str(TESTS_HOME)
# PostgreSQL, started as another user, passes through here; var/ below stays closed to it.
TESTS_HOME.chmod(0o711)
TESTS_POSTGRES = TESTS_HOME / "postgres"

# What the developer's own environment says about Gator must not reach the tests.
_example = Path(__file__).resolve().parent.parent / ".env.example"
SETTING_NAMES = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", _example.read_text(), re.MULTILINE)
for _name in SETTING_NAMES:
    os.environ.pop(_name, None)
os.environ["GATOR_ENV_FILE"] = os.devnull
os.environ["GATOR_VAR"] = str(TESTS_HOME / "var")
if TESTS_DATABASE == "postgres":
    from tests.servers import postgres_url

    os.environ["DATABASE_URL"] = postgres_url(TESTS_POSTGRES, "gator")

# Each xdist worker has a Redis database of its own; 0 is for runs without xdist.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
REDIS_DATABASE = int(_worker.removeprefix("gw")) + 1 if _worker else 0
if not 0 <= REDIS_DATABASE < 16:
    raise SystemExit("Valkey has 16 databases: run at most 15 workers.")

from gator.settings import *  # noqa: E402, F403
from gator.settings import (  # noqa: E402
    CACHES,
    DATABASES,
    GATOR_VAR,
    REDIS_URL,
)
from gator.valkey import celery_url  # noqa: E402

REDIS_URL = REDIS_URL.replace("db=0", f"db={REDIS_DATABASE}")
CACHES["default"]["LOCATION"] = REDIS_URL
CELERY_BROKER_URL = CELERY_RESULT_BACKEND = celery_url(REDIS_URL)

# Most tests are about what is done with readings; those about the shipped engine choose it.
SENTIMENT_ENGINE = "rules"

# Every test client starts the middleware anew; found one by one, files need no list of them all.
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

if TESTS_DATABASE == "sqlite":
    # A file, not memory: threads and processes share it as they do in production.
    DATABASES["default"]["TEST"] = {"NAME": str(GATOR_VAR / "tests.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )
else:
    # A pool opens connections in threads of its own, and one of them may just be opening while
    # the test database is dropped. The journeys run with the pool.
    del DATABASES["default"]["OPTIONS"]["pool"]
