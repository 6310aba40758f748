"""Recording, reading, copies, days, spikes and corrections, below the API."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.core.models import Alert
from apps.personas.models import Hold, Persona
from apps.sentiment import services, tasks, watching
from apps.sentiment.models import Comment, Day, Engagement, Reading, Spike, Watch
from apps.sentiment.services import Measured, Written
from tests.sentiment.conftest import chatter_of

pytestmark = pytest.mark.django_db


def wrote(number: int, text: str, author: str = "", **more: Any) -> Written:
    more.setdefault("written_at", datetime(2026, 1, 2, 3, 4, number % 60, tzinfo=UTC))
    return Written(network="wall", remote_id=str(number), text=text, author=author, **more)


def test_recording_twice_changes_nothing_and_wakes_nobody(
    luna: Persona, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    comments = [wrote(1, "I love it"), wrote(2, "I hate it"), wrote(2, "I hate it")]
    with django_capture_on_commit_callbacks() as first:
        assert services.record_comments(persona_id=luna.pk, comments=comments) == 2
    with django_capture_on_commit_callbacks() as second:
        assert services.record_comments(persona_id=luna.pk, comments=comments) == 0
    assert (len(first), len(second)) == (1, 0)
    assert tasks.read_waiting_comments() == 2
    assert tasks.read_waiting_comments() == 0
    assert Reading.objects.count() == 2
    assert Day.objects.get().count == 2


def test_a_changed_text_is_read_again(luna: Persona) -> None:
    services.read_now(persona=luna, comments=[wrote(1, "I love it")])
    services.record_comments(persona_id=luna.pk, comments=[wrote(1, "I hate it")])
    tasks.read_waiting_comments()
    assert Reading.objects.get().label == "negative"
    assert Day.objects.get().labels == {"negative": 1.0}


def test_text_that_no_database_takes_is_kept_without_the_broken_parts(luna: Persona) -> None:
    services.record_comments(persona_id=luna.pk, comments=[wrote(1, "a\0b\ud800c")])
    assert Comment.objects.get().text == "ab?c"


def test_engagement_is_updated_in_place(luna: Persona) -> None:
    for likes in (3, 5):
        post = Measured(network="wall", remote_id="1", likes=likes)
        services.record_engagement(persona_id=luna.pk, posts=[post])
    assert Engagement.objects.get().likes == 5


def test_copies_weigh_less_but_short_praise_by_many_does_not(luna: Persona) -> None:
    campaign = "Do not buy this camera it broke after one day"
    comments = [wrote(n, f"@user{n} {campaign}{'!' * n}", author=f"bot{n}") for n in range(4)]
    comments += [wrote(10 + n, "Love it!", author=f"fan{n}") for n in range(4)]
    comments += [wrote(20 + n, "Boo", author="troll") for n in range(3)]
    services.read_now(persona=luna, comments=comments)
    weights = dict(Reading.objects.values_list("comment__remote_id", "weight"))
    assert [weights[str(n)] for n in range(4)] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert [weights[str(10 + n)] for n in range(4)] == [1, 1, 1, 1]
    assert [weights[str(20 + n)] for n in range(3)] == [1, 1 / 2, 1 / 3]


def test_what_no_engine_can_tell_moves_no_mean(luna: Persona) -> None:
    services.read_now(
        persona=luna, comments=[wrote(1, "I love it"), wrote(2, "Das ist nicht so gut")]
    )
    day = Day.objects.get()
    assert (day.count, day.abstained, day.weight) == (2, 1, 1.0)


def _bad(count: int, hours: float = 1.0, start: int = 0) -> list[Written]:
    at = timezone.now() - timedelta(hours=hours)
    return [
        wrote(
            start + n, f"I hate your {chr(97 + n % 26)}o{n // 26 * 'e'}", f"fan{n}", written_at=at
        )
        for n in range(count)
    ]


def test_a_spike_is_told_once_and_holds_only_where_asked(luna: Persona, marlow: Persona) -> None:
    Watch.objects.update_or_create(persona=None, defaults={"share": 0.5, "at_least": 10})
    calm = chatter_of(10, 10, start=1, end=1)
    services.read_now(persona=luna, comments=calm)
    assert watching.watch() == []
    services.read_now(persona=luna, comments=_bad(30, start=1_000))
    assert len(watching.watch()) == 1
    assert watching.watch() == []
    spike = Spike.objects.get()
    assert (spike.persona, spike.held) == (luna, False)
    assert spike.p < 0.001
    assert Comment.objects.filter(pk__in=spike.comments).count() == 10
    assert Alert.objects.get().path.endswith(f"/{spike.pk}/change/")
    assert not Hold.objects.exists()
    Watch.objects.create(persona=marlow, holds=True)
    services.read_now(persona=marlow, comments=_bad(30, start=2_000))
    watching.watch()
    assert Hold.objects.get().persona == marlow


def test_a_usual_amount_of_anger_is_no_spike(luna: Persona) -> None:
    Watch.objects.get_or_create(persona=None)
    services.read_now(persona=luna, comments=_bad(60, hours=100))
    services.read_now(persona=luna, comments=_bad(12, start=100))
    assert watching.watch() == []


def test_corrections_teach_about_texts_like_theirs(luna: Persona) -> None:
    before = services.judge(["That drop was absolutely criminal, on repeat"])[0].analysis.score
    for text in ("That drop was criminal", "Absolutely criminal drop", "The drop is criminal wow"):
        services.correct(text=text, label="very_positive", by=None)
    after = services.judge(["That drop was absolutely criminal, on repeat"])[0]
    assert after.analysis.score > before + 0.2
    assert after.engine_score == before
    same = "The station is closed on Tuesday"
    assert services.judge([same])[0].analysis.score == services.analyze(same).score


def test_fifty_corrections_measurably_help_with_a_slang_that_no_engine_knows(luna: Persona) -> None:
    praise = ("is bonkers", "goes feral", "ate and left no crumbs", "is criminal", "is diabolical")
    blame = ("is mid", "is cooked", "fell off", "is a flop era", "is for the bin")
    subjects = ("drop", "remix", "hook", "bridge", "intro", "outro", "verse", "bass", "beat", "cut")
    texts = [
        (f"{start} the {subject} {said}", label)
        for label, sayings in (("positive", praise), ("negative", blame))
        for said in sayings
        for subject in subjects
        for start in ("honestly", "ngl")
    ]
    random.Random(3).shuffle(texts)
    taught, unseen = texts[:50], texts[50:]

    def right() -> float:
        said = services.judge([text for text, _ in unseen])
        found = [each.analysis.label.removeprefix("very_") for each in said]
        return sum(a == b for a, (_, b) in zip(found, unseen, strict=True)) / len(unseen)

    before = right()
    for text, label in taught:
        services.correct(text=text, label=label, by=None)
    assert right() >= before + 0.1
