"""Posts that personas write themselves, as a job: claim, gather, call, check, record.

The model is called with no transaction open. Every write names the claim, so that whoever comes
late writes nothing. A text that an account would refuse is asked for once more, with the reason;
after that it waits for a person as it is: nothing is cut.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.core import audit
from apps.personas import speaking
from apps.personas.voices.base import VoiceError
from apps.scheduling import composing, drafting, duplicates, queueing
from apps.scheduling.drafting import Draft
from apps.scheduling.models import Candidate, Delivery, DraftRun, Post, SocialAccount
from apps.sentiment import services as sentiment

log = structlog.get_logger(__name__)

State = Candidate.State
Problem = tuple[str, str, str]

# Longer than the longest deadline of a voice, for a text and its second try.
LEASE = timedelta(minutes=25)
# What waits longer than this was not woken, or its worker died before it began.
UNWOKEN = timedelta(seconds=30)
MOST_ATTEMPTS = 3
KEPT = timedelta(days=90)
MOST_LIKED, MOST_WAITING, MOST_PUBLISHED = 5, 30, 30
# Writing it anew cannot help where a picture is missing or an account is paused.
HOPELESS = frozenset({"accounts", "media", "persona", "scheduled_at", "too_late_after"})


# What to do about an error of the voice, beside its own words.
ADVICE = {
    "voice_misconfigured": "Put it right under Voices, test it there, then write what is missing.",
    "model_unavailable": "Write what is missing in a while, or choose another voice.",
    "budget_spent": "A new day begins at midnight UTC; or raise the budget under Voices.",
    "withheld": "Ask again with another brief.",
    "voice_failed": "Ask again; if it goes on, test the voice under Voices.",
}


class ClaimLost(Exception):
    """Another worker has this run: write nothing more."""


def write(run_id: UUID) -> None:
    """Write what this run still lacks; a repeated call changes nothing."""
    claim = uuid4()
    if not _claim(run_id, claim):
        return
    run = DraftRun.objects.select_related("persona", "created_by").get(pk=run_id)
    accounts = list(run.accounts.select_related("persona").order_by("network", "handle"))
    try:
        for candidate in run.candidates.filter(state=State.WAITING).order_by("number"):
            _write_one(run, candidate, accounts)
        _finish(run)
    except ClaimLost:
        log.info("drafts taken out of our hands", run=str(run_id))
    except VoiceError as error:
        # What one text cannot have, a budget for instance, the next cannot have either.
        _finish(run, code=error.code, error=f"{error} {ADVICE.get(error.code, '')}".strip())
    except Exception:
        log.exception("drafts failed", run=str(run_id))
        _finish(run, code="fault", error="Something went wrong on our side; it is in the log.")


def _claim(run_id: UUID, claim: UUID) -> bool:
    now = timezone.now()
    # One conditional UPDATE decides between two workers.
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    rows = DraftRun.objects.unfinished().filter(free, pk=run_id, attempts__lt=MOST_ATTEMPTS)
    return bool(rows.update(claim=claim, lease_until=now + LEASE, attempts=F("attempts") + 1))


def _write_one(run: DraftRun, candidate: Candidate, accounts: Sequence[SocialAccount]) -> None:
    said, liked = _said(run), _liked(run)
    most = most_characters(run, accounts)
    text = problem = ""
    problems: list[Problem] = []
    for _ in range(2):
        text = _clean(
            speaking.draft(
                run.persona,
                brief=run.brief,
                said=said,
                liked=liked,
                most_characters=most,
                refused=text,
                problem=problem,
            )
        )
        problems = problems_of(draft_of(run, candidate, accounts, text))
        if not problems or all(field in HOPELESS for field, _, _ in problems):
            break
        problem = " ".join(words for _, _, words in problems)
    _record(run, candidate, accounts, text, problems)


def draft_of(
    run: DraftRun, candidate: Candidate, accounts: Sequence[SocialAccount], text: str
) -> Draft:
    """The post that this text would be; a draft, unless staff allow the persona more.

    Of several for one moment none is scheduled by itself: they would all go out.
    """
    on_its_own = run.persona.schedules_own_drafts and not run.is_choice
    return Draft(
        persona=run.persona,
        accounts=accounts,
        scheduled_at=candidate.at,
        text=text,
        as_draft=not on_its_own,
        text_by_ai=True,
        allow_duplicate=False,
    )


def problems_of(draft: Draft) -> list[Problem]:
    """What keeps it from being a post: its accounts' limits, or that the same was said there."""
    found = drafting.problems_of(draft)
    if found:
        return found
    post = drafting.post_of(draft, by=None)
    marks = {each.pk: duplicates.fingerprint(post, {}, ()) for each in draft.accounts}
    there = duplicates.known([(pk, mark, draft.scheduled_at) for pk, mark in marks.items()])
    return [
        ("text", "duplicate", duplicates.words(each, there[each.pk, marks[each.pk]]))
        for each in draft.accounts
        if (each.pk, marks[each.pk]) in there
    ]


def most_characters(run: DraftRun, accounts: Sequence[SocialAccount]) -> int | None:
    """What the strictest account leaves for the text, a label under it counted in."""
    post = Post(persona=run.persona, text="x", text_by_ai=True)
    room = []
    for account in accounts:
        found = composing.measure(post=post, account=account, override={}, media=[[]])
        if found.limit is not None:
            room.append(max(1, found.limit - found.count + 1))
    return min(room, default=None)


def _said(run: DraftRun) -> tuple[str, ...]:
    """What is not to be said again: its siblings first, what waits, what is out."""
    siblings = run.candidates.exclude(text="").order_by("-number").values_list("text", flat=True)
    waiting = (
        Post.objects.filter(
            persona=run.persona,
            deliveries__state__in=[Delivery.State.AWAITING, *Delivery.UNFINISHED],
        )
        .exclude(text="")
        .order_by("-scheduled_at")
        .values_list("text", flat=True)
        .distinct()[:MOST_WAITING]
    )
    out = run.persona.publications.exclude(text="").values_list("text", flat=True)[:MOST_PUBLISHED]
    return tuple(dict.fromkeys([*siblings, *waiting, *out]))


def _liked(run: DraftRun) -> tuple[str, ...]:
    best = sentiment.best_posts(persona_id=run.persona.pk, most=MOST_LIKED)
    texts = dict(Post.objects.filter(pk__in=best, persona=run.persona).values_list("pk", "text"))
    return tuple(texts[pk] for pk in best if texts.get(pk))


def _clean(text: str) -> str:
    """Without what no post can hold: control characters, halves of characters."""
    whole = text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")
    return "".join(
        each for each in whole if each in "\n\t" or each.isprintable() or ord(each) > 159
    )


# -- Recording -----------------------------------------------------------------------------------


def _hold(run: DraftRun) -> None:
    """Lock the run while it is still ours; its lease begins anew. Raises ClaimLost."""
    rows = DraftRun.objects.unfinished().filter(pk=run.pk, claim=run.claim)
    if not rows.update(lease_until=timezone.now() + LEASE):
        raise ClaimLost


def _record(
    run: DraftRun,
    candidate: Candidate,
    accounts: Sequence[SocialAccount],
    text: str,
    problems: Sequence[Problem],
) -> None:
    with transaction.atomic():
        _hold(run)
        candidate.text = text
        candidate.state = State.REFUSED if problems else State.WRITTEN
        candidate.problem = " ".join(words for _, _, words in problems)
        if not problems and not run.is_choice:
            make_post(run, candidate, accounts)
        candidate.save(update_fields=["text", "state", "problem", "at", "post"])


def make_post(run: DraftRun, candidate: Candidate, accounts: Sequence[SocialAccount]) -> Post:
    """Make the candidate a post, in its slot or the next free one; the caller saves the candidate.

    The caller has checked it and holds a transaction.
    """
    if run.in_slots:
        [account] = accounts
        # Locked: nobody else is told the same slot. Since it was asked for, it may have been taken.
        accounts = [queueing.lock(account)]
        moment = queueing.next_free(accounts[0], since=candidate.at)
        candidate.at = moment.at if moment else candidate.at
    draft = replace(draft_of(run, candidate, accounts, candidate.text), accounts=accounts)
    post, _ = drafting.store(draft, by=run.created_by, in_slot=run.in_slots)
    candidate.post, candidate.state = post, State.TAKEN
    audit.record(actor=run.created_by, action="write draft", about=post, run=str(run.pk))
    return post


def _finish(run: DraftRun, *, code: str = "", error: str = "") -> None:
    with transaction.atomic():
        rows = DraftRun.objects.filter(pk=run.pk, claim=run.claim, finished_at=None)
        ended = rows.update(
            finished_at=timezone.now(), claim=None, lease_until=None, error_code=code, error=error
        )
        if ended:
            run.candidates.filter(state=State.WAITING).update(state=State.FAILED, problem=error)


def abandoned() -> list[UUID]:
    """Runs that nobody writes: never woken, or left by a dead worker. Hopeless ones end."""
    now = timezone.now()
    left = DraftRun.objects.unfinished().filter(
        Q(lease_until__lte=now) | Q(lease_until=None, created_at__lte=now - UNWOKEN)
    )
    for run in left.filter(attempts__gte=MOST_ATTEMPTS):
        words = "The worker that wrote this stopped, again and again. Ask once more."
        _finish(run, code="worker_lost", error=words)
    return list(left.filter(attempts__lt=MOST_ATTEMPTS).values_list("pk", flat=True)[:100])


def end_unfinished() -> int:
    """End every run that is not finished: after a restore nobody knows what came of it."""
    words = "A backup was restored while this was being written. Look at what is there, then go on."
    runs = list(DraftRun.objects.unfinished())
    for run in runs:
        _finish(run, code="restored", error=words)
    return len(runs)


def forget_old() -> int:
    """Delete requests that ended long ago, with their texts; posts made of them stay."""
    rows = DraftRun.objects.filter(finished_at__lt=timezone.now() - KEPT)
    return rows.delete()[1].get("scheduling.DraftRun", 0)
