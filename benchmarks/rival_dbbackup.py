"""django-dbbackup in an environment of its own, backing up the same database in the same run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTINGS = """
import dj_database_url, os
SECRET_KEY = "benchmark"
INSTALLED_APPS = ["dbbackup"]
USE_TZ = True
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "dbbackup": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ["RIVAL_OUT"]},
    },
}
DBBACKUP_CONNECTORS = {"default": {"DUMP_CMD": os.environ["RIVAL_PG_DUMP"]}}
"""


def measured(
    measure: Callable[..., Any], database_url: str, programs: Path, folder: Path
) -> list[Any]:
    """Its default and its -z; nothing when it cannot be installed here."""
    out = folder / "out"
    out.mkdir(parents=True)
    python = folder / "venv" / "bin" / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        packages = ["django-dbbackup", "psycopg[binary]", "dj-database-url", "Django<5.3"]
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *packages],
            check=True,
            capture_output=True,
            timeout=300,
        )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"django-dbbackup was not measured: {error}")
        return []
    (folder / "rival_settings.py").write_text(SETTINGS)
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "rival_settings",
        "PYTHONPATH": str(folder),
        "DATABASE_URL": database_url,
        "RIVAL_OUT": str(out),
        "RIVAL_PG_DUMP": str(programs / "pg_dump"),
    }
    costs = []
    for what, options in (("django-dbbackup", []), ("django-dbbackup -z", ["-z"])):
        command = [str(python), "-m", "django", "dbbackup", "--noinput", *options]
        cost = measure(what, command, environment, cwd=folder)
        cost.size_mb = round(sum(path.stat().st_size for path in out.iterdir()) / 1_000_000, 1)
        for path in out.iterdir():
            path.unlink()
        costs.append(cost)
    return costs
