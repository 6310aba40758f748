"""How fast and how punctual publishing is, on SQLite and PostgreSQL, beside plain Celery ETAs.

`python -m benchmarks.scheduling [--database sqlite|postgres] [--quick] [--plans]` prints a
table and, as its last line, the same as JSON. Everything runs in a temporary folder, on 127.0.0.1.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import servers

Figures = dict[str, float | int | str]


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p99 and the worst, in milliseconds."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1)}


@contextmanager
def installation(database: str) -> Iterator[Any]:
    """A migrated database, Valkey, a worker, a beat and a stand-in network that answers at once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gator-bench-")))
        folder.chmod(0o711)
        var = folder / "var"
        var.mkdir(mode=0o700)
        os.environ |= {
            "GATOR_VAR": str(var),
            "GATOR_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "LOG_LEVEL": "WARNING",
        }
        port = servers.free_port()
        os.environ["STANDIN_URL"] = f"http://127.0.0.1:{port}"
        if database == "postgres":
            stack.enter_context(servers.running_postgres(folder / "postgres", durable=True))
            stack.enter_context(servers.fresh_database(folder / "postgres", "gator"))
            url = servers.postgres_url(folder / "postgres", "gator")
        else:
            url = f"sqlite:///{var}/gator.sqlite3"
        os.environ["DATABASE_URL"] = url

        import django

        django.setup()
        from django.core.management import call_command

        from tests.faults.processes import House

        call_command("migrate", verbosity=0)
        house = House(folder, database_url=url, network_port=port, web_port=servers.free_port())
        house.env["LOG_LEVEL"] = "WARNING"
        stack.callback(house.end)
        house.network(rudeness=0)
        house.valkey()
        yield house


def persona_and_account() -> tuple[Any, Any]:
    from apps.personas.models import Persona
    from apps.scheduling.models import SocialAccount

    persona, _ = Persona.objects.get_or_create(handle="luna", defaults={"name": "Luna"})
    account, _ = SocialAccount.objects.get_or_create(
        persona=persona, network="keyed", handle="luna", defaults={"status": "working"}
    )
    return persona, account


def schedule(number: int, at: Any) -> Any:
    from apps.scheduling import services

    persona, account = persona_and_account_cached()
    draft = services.Draft(
        persona=persona, accounts=[account], text=f"Post {number}", scheduled_at=at
    )
    return services.schedule_post(draft, by=None)


_cached: list[Any] = []


def persona_and_account_cached() -> Any:
    if not _cached:
        _cached.append(persona_and_account())
    return _cached[0]


def wait_for(count: int, house: Any, seconds: float) -> dict[str, float]:
    """Wait until `count` posts are stored; gives the time each arrived at the network, by key."""
    import httpx

    deadline = time.monotonic() + seconds
    while True:
        url = f"http://127.0.0.1:{house.network_port}/log"
        posts = httpx.get(url, trust_env=False, timeout=30).json()
        if len(posts) >= count:
            return {post["key"]: post["at"] for post in posts}
        if time.monotonic() > deadline:
            raise SystemExit(f"only {len(posts)} of {count} arrived\n{house.tails()}")
        time.sleep(0.2)


def wait_for_workers(count: int) -> None:
    """Start-up is measured elsewhere: wait for beat's first sign and each worker's answer."""
    from apps.core.models import Lease
    from gator.celery import app

    for _ in range(300):
        if (
            Lease.objects.live().filter(name="beat").exists()
            and len(app.control.ping(timeout=1) or ()) == count
        ):
            time.sleep(1)
            return
        time.sleep(0.1)
    raise SystemExit("the workers did not start")


def lateness(posts: list[Any], arrived: dict[str, float]) -> list[float]:
    return [
        arrived[row.key] - post.scheduled_at.timestamp()
        for post in posts
        for row in post.deliveries.all()
    ]


# -- What is measured ---------------------------------------------------------------------------


def schedule_calls(count: int) -> Figures:
    """The call that stores a post with its delivery, until it is committed."""
    from django.utils import timezone

    later = timezone.now() + timedelta(days=300)
    times = []
    for number in range(count):
        started = time.perf_counter()
        schedule(number, later)
        times.append(time.perf_counter() - started)
    return {"calls": count, **percentiles(times)}


def full_cycle(count: int) -> Figures:
    """Claim, attempt, finish, without any network: posts per second in one process."""
    from django.utils import timezone

    from apps.scheduling import publishing
    from apps.scheduling.models import Delivery
    from apps.scheduling.networks import publishers
    from apps.scheduling.publishers.base import Receipt
    from gator.celery import app

    past = timezone.now() - timedelta(seconds=1)
    for number in range(count):
        schedule(number, past)
    publisher = publishers["keyed"]
    publisher.publish = lambda account, outgoing: Receipt(remote_id=outgoing.key)  # type: ignore[method-assign]
    started = time.perf_counter()
    done = 0
    while states := publishing.publish():
        done += len(states)
    took = time.perf_counter() - started
    assert done == count == Delivery.objects.filter(state="published").count(), (done, count)
    del publisher.publish
    # Each post sent a wake-up when it was scheduled. No worker runs yet: they would all be taken
    # at once by the one that the next measurement starts.
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.queue_purge("publishing")
    return {"posts": count, "posts_per_second": round(done / took)}


def publish_now(house: Any, count: int, before: int) -> Figures:
    """From the call `publish_now` to the network, one after the other."""
    from django.utils import timezone

    from apps.scheduling import services

    posts = [schedule(number, timezone.now() + timedelta(days=1)) for number in range(count)]
    pressed = {}
    for post in posts:
        pressed[post.deliveries.get().key] = time.time()
        services.publish_now(post, by=None)
        time.sleep(0.1)
    arrived = wait_for(before + count, house, 60)
    return {"posts": count, **percentiles([arrived[key] - at for key, at in pressed.items()])}


def one_due_post(house: Any, count: int, before: int) -> Figures:
    """One post due at a time: how late it reaches the network, and whether any was early."""
    from django.utils import timezone

    begin = timezone.now() + timedelta(seconds=8)
    posts = [schedule(n, begin + timedelta(milliseconds=500 * n)) for n in range(count)]
    arrived = wait_for(before + count, house, count + 60)
    late = lateness(posts, arrived)
    return {"posts": count, "early": sum(each < 0 for each in late), **percentiles(late)}


def same_second(house: Any, count: int, before: int) -> Figures:
    """All due in the same second: how late each reaches the network."""
    from django.utils import timezone

    due = timezone.now() + timedelta(seconds=15 if count > 500 else 8)
    posts = [schedule(number, due) for number in range(count)]
    assert timezone.now() < due - timedelta(seconds=2), "scheduling took too long for this run"
    arrived = wait_for(before + count, house, 120)
    late = lateness(posts, arrived)
    return {"posts": count, "early": sum(each < 0 for each in late), **percentiles(late)}


def plain_celery(count: int, folder: Path) -> Figures:
    """The rival: `apply_async(eta=...)`, with a visibility timeout shorter than the ETA.

    Celery's default is an hour, so that any post due in more than an hour meets this; here both
    are shortened (5 s, due in 130 s: the broker looks for lost tasks about every 100 s) to fit a
    benchmark. One of two workers is killed while it holds its share of the ETAs.
    """
    from gator import valkey

    var = folder / "rival"
    var.mkdir(mode=0o700)
    binary = valkey.server_binary()
    assert binary is not None
    env = {
        "PATH": os.environ["PATH"],
        "RIVAL_BROKER": valkey.celery_url(valkey.embedded_url(var)),
        "RIVAL_LOG": str(var / "runs"),
    }
    (var / "runs").touch()
    processes = [subprocess.Popen(valkey.server_command(var, binary), stdout=subprocess.DEVNULL)]
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.rival_celery", "worker"]
    worker = [*command, "-P", "threads", "-c", "4", "-l", "ERROR"]

    def start() -> None:
        processes.append(
            subprocess.Popen(worker, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    try:
        time.sleep(0.5)
        for _ in range(2):
            start()
        program = (
            "import datetime; from benchmarks.rival_celery import post\n"
            "due = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=130)\n"
            f"for n in range({count}): post.apply_async((n,), eta=due)"
        )
        subprocess.run([sys.executable, "-c", program], env=env, check=True)
        time.sleep(115)
        processes[1].kill()
        time.sleep(25)
        runs = Counter((var / "runs").read_text().split())
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return {
        "posts": count,
        "sent": sum(runs.values()),
        "doubled": sum(times > 1 for times in runs.values()),
        "lost": count - len(runs),
    }


def measure(database: str, quick: bool) -> dict[str, Figures]:
    small = 5 if quick else 1
    results: dict[str, Figures] = {}
    with installation(database) as house:
        results["schedule call"] = schedule_calls(1000 // small)
        results["full cycle, no network"] = full_cycle(2000 // small)
        # As many as `manage.py up` starts.
        for number in range(publishers := 1 if database == "sqlite" else 2):
            house.publisher(number + 1)
        house.beat()
        wait_for_workers(publishers)
        count = 100 // small
        pressed = 3 * count
        results["publish now to network call"] = publish_now(house, pressed, 0)
        results["one due post, late by"] = one_due_post(house, count, pressed)
        burst, before = 1000 // small, pressed + count
        results[f"{burst} due in the same second, late by"] = same_second(house, burst, before)
        house.end()
        if database == "sqlite":
            results["rival: Celery apply_async(eta)"] = plain_celery(count, house.folder)
    return results


def measure_plans(database: str, quick: bool) -> dict[str, Figures]:
    from benchmarks import plans

    with installation(database):
        return plans.measure(quick)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append")
    parser.add_argument("--quick", action="store_true", help="a fifth of the work")
    parser.add_argument(
        "--plans", action="store_true", help="instead: the calendar and the sweep over many rows"
    )
    options = parser.parse_args()
    everything: dict[str, dict[str, Figures]] = {}
    for database in options.database or ["sqlite", "postgres"]:
        if len(options.database or "two") > 1:
            # Django is set up once per process.
            command = [sys.executable, "-m", "benchmarks.scheduling", "--database", database]
            command += ["--quick"] if options.quick else []
            command += ["--plans"] if options.plans else []
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            print(run.stdout.rpartition("\n{")[0])
            everything |= json.loads(run.stdout.strip().splitlines()[-1])
            continue
        results = (measure_plans if options.plans else measure)(database, options.quick)
        print(f"\n{database}, {os.cpu_count()} cores, Python {platform.python_version()}")
        for name, figures in results.items():
            print(f"  {name:<42} " + "  ".join(f"{key}={value}" for key, value in figures.items()))
        everything[database] = results
    print(json.dumps(everything))


if __name__ == "__main__":
    main()
