"""Personas that write, as verbs: ask for drafts, take one, ask again.

What a persona writes goes nowhere by itself: it is a draft, marked as made with AI, until
somebody hands it in, unless its own setting lets a series of drafts be scheduled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from apps.core import audit
from apps.core.errors import Refused, WrongState
from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import drafting, queueing, recurrence, tasks, writing
from apps.scheduling.models import LONGEST_BRIEF, Candidate, DraftRun, Post, SocialAccount

State = Candidate.State

CHOICES = 3
MOST_CHOICES = 10
WEEK = 7
MOST_POSTS = 31
MORNING = time(9)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a persona is to write: several for one moment, or one for each of several.

    `days` is one a day from `at` on (else from tomorrow at nine), `slots` one for each of the next
    free slots of one account's queue; with neither it is `count` to choose from for `at` (else the
    next free slot, or tomorrow at nine).
    """

    persona: Persona
    brief: str = ""
    # Empty: every account that is not paused and takes text alone.
    accounts: Sequence[SocialAccount] = ()
    count: int | None = None
    at: datetime | None = None
    days: int | None = None
    slots: int | None = None


def ask_for_drafts(wish: Wish, *, by: User | None) -> DraftRun:
    """Store the request and wake a worker; raises Refused and stores nothing."""
    accounts = list(wish.accounts) or _usual_accounts(wish)
    if problems := [*_problems_of(wish), *_account_problems(wish, accounts)]:
        raise Refused(*problems)
    moments, in_slots = _moments(wish, accounts)
    is_choice = wish.days is None and wish.slots is None
    with transaction.atomic():
        run = DraftRun.objects.create(
            persona=wish.persona,
            brief=wish.brief.strip(),
            is_choice=is_choice,
            in_slots=in_slots,
            created_by=by,
        )
        run.accounts.set(accounts)
        Candidate.objects.bulk_create(
            Candidate(run=run, number=number, at=at) for number, at in enumerate(moments, 1)
        )
        audit.record(actor=by, action="ask for drafts", about=run, count=len(moments))
        _wake_after_commit(run)
    return run


def ask_again(run: DraftRun, *, by: User | None) -> None:
    """Have written what could not be; what is there already stays."""
    with transaction.atomic():
        row = DraftRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if row.finished_at is None:
            raise WrongState("It is still being written.")
        if not row.candidates.filter(state=State.FAILED).update(state=State.WAITING, problem=""):
            raise WrongState("All of it is written.")
        row.finished_at, row.attempts, row.error, row.error_code = None, 0, "", ""
        # The sweep counts from here.
        row.created_at = timezone.now()
        row.save()
        audit.record(actor=by, action="ask for drafts again", about=row)
        _wake_after_commit(row)


def take_candidate(candidate: Candidate, *, by: User | None) -> Post:
    """Make a written text a draft post, marked as made with AI; raises Refused or WrongState."""
    with transaction.atomic():
        rows = Candidate.objects.select_for_update(of=("self",))
        row = rows.select_related("run__persona", "run__created_by").get(pk=candidate.pk)
        if row.state == State.TAKEN:
            raise WrongState("It is a post already.")
        if row.state not in (State.WRITTEN, State.REFUSED):
            raise WrongState("It is not written yet.")
        accounts = list(row.run.accounts.select_related("persona").order_by("network", "handle"))
        if row.at < timezone.now() - drafting.GRACE:
            # A draft has time: tomorrow, at the time of day that was meant.
            persona = row.run.persona
            row.at = _tomorrow(persona, row.at.astimezone(ZoneInfo(persona.time_zone)).time())
        if problems := writing.problems_of(writing.draft_of(row.run, row, accounts, row.text)):
            raise Refused(*problems)
        post = writing.make_post(row.run, row, accounts)
        row.problem = ""
        row.save(update_fields=["state", "problem", "at", "post"])
        audit.record(actor=by, action="take draft", about=post)
    return post


def end_unfinished(**about: Any) -> None:
    """After a restore nothing is written by itself (event `database_restored`).

    What was written since the backup may be published already; a person looks, then asks again.
    """
    count = writing.end_unfinished()
    audit.record(actor=None, action="end unfinished drafts", runs=count)


def _wake_after_commit(run: DraftRun) -> None:
    # robust: a broker that is down must not fail a request whose rows are committed.
    transaction.on_commit(partial(tasks.wake_writing, run.pk), robust=True)


# -- Checking --------------------------------------------------------------------------------------


def _usual_accounts(wish: Wish) -> list[SocialAccount]:
    rows = wish.persona.accounts.exclude(status=SocialAccount.Status.PAUSED)
    rows = rows.select_related("persona").order_by("network", "handle")
    if wish.slots is not None:
        rows = rows.filter(slots__isnull=False).distinct()
    at = timezone.now() + timedelta(hours=1)
    # A persona writes words: networks that want a picture are left to people.
    return [each for each in rows if _takes_text(wish.persona, each, at)]


def _takes_text(persona: Persona, account: SocialAccount, at: datetime) -> bool:
    draft = drafting.Draft(persona=persona, accounts=[account], scheduled_at=at, text="x")
    return not any(field == "media" for field, _, _ in drafting.problems_of(draft))


def _problems_of(wish: Wish) -> list[tuple[str, str, str]]:
    problems = []
    if not wish.persona.is_active:
        problems.append(("persona", "inactive", f"{wish.persona} is not active."))
    if len(wish.brief) > LONGEST_BRIEF:
        problems.append(("brief", "max_length", f"At most {LONGEST_BRIEF:,} characters."))
    if wish.days is not None and wish.slots is not None:
        problems.append(("slots", "two_spans", "Ask for days or for slots, not for both."))
    elif wish.slots is not None and wish.at is not None:
        problems.append(("at", "two_spans", "Slots have times of their own: leave `at` out."))
    if wish.count is not None and (wish.days is not None or wish.slots is not None):
        words = "Several to choose from are for one time: leave `count` out, or `days` and `slots`."
        problems.append(("count", "two_spans", words))
    for name, value, most in (
        ("count", wish.count, MOST_CHOICES),
        ("days", wish.days, MOST_POSTS),
        ("slots", wish.slots, MOST_POSTS),
    ):
        if value is not None and not 1 <= value <= most:
            problems.append((name, "out_of_range", f"From 1 to {most}."))
    if wish.at is not None and wish.at < timezone.now():
        problems.append(("at", "in_the_past", "This time has passed."))
    return problems


def _account_problems(wish: Wish, accounts: Sequence[SocialAccount]) -> list[tuple[str, str, str]]:
    if wish.slots is not None and len(accounts) != 1:
        words = "Slots belong to one account: name one that has slots."
        return [("accounts", "no_slot", words)]
    if not accounts:
        words = f"{wish.persona} has no account that takes text alone; connect or name one."
        return [("accounts", "required", words)]
    return [
        ("accounts", "another_persona", f"{each} is not an account of {wish.persona}.")
        for each in accounts
        if each.persona_id != wish.persona.pk
    ]


# -- When ------------------------------------------------------------------------------------------


def _moments(wish: Wish, accounts: Sequence[SocialAccount]) -> tuple[list[datetime], bool]:
    """A moment for each text, and whether they are slots of a queue."""
    if wish.slots is not None:
        return _slots(accounts[0], wish.slots), True
    morning = _tomorrow(wish.persona, MORNING)
    if wish.days is not None:
        return _daily(wish.persona, wish.at or morning, wish.days), False
    count = CHOICES if wish.count is None else wish.count
    if wish.at is None and len(accounts) == 1 and (free := queueing.next_free(accounts[0])):
        return [free.at] * count, True
    return [wish.at or morning] * count, False


def _slots(account: SocialAccount, number: int) -> list[datetime]:
    found: list[datetime] = []
    since = timezone.now()
    while len(found) < number:
        moment = queueing.next_free(account, since=since)
        if moment is None:
            words = f"{account} has {len(found)} free slots in the coming year, not {number}."
            raise Refused(("slots", "no_slot", words))
        found.append(moment.at)
        since = moment.at + timedelta(minutes=1)
    return found


def _tomorrow(persona: Persona, clock: time) -> datetime:
    """When the persona's clock shows this tomorrow."""
    zone = ZoneInfo(persona.time_zone)
    day = timezone.now().astimezone(zone).date() + timedelta(days=1)
    return recurrence.moment_of(datetime.combine(day, clock), zone).at


def _daily(persona: Persona, first: datetime, number: int) -> list[datetime]:
    """The same time by the persona's clock, day after day."""
    zone = ZoneInfo(persona.time_zone)
    wall = first.astimezone(zone).replace(tzinfo=None)
    days = (wall + timedelta(days=day) for day in range(number))
    return [recurrence.moment_of(each, zone).at for each in days]
