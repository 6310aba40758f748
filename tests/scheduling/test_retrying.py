"""What follows from how an attempt ended, as a pure function."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Permanent,
    Processing,
    PublishError,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.retrying import LONGEST_WAIT, after, back_off

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "maybe_sent", "state"),
    [
        (Temporary("x"), False, "scheduled"),
        (Temporary("x"), True, "scheduled"),
        (Processing("x"), False, "scheduled"),
        (Permanent("x"), False, "failed"),
        (Permanent("x"), True, "needs_review"),
        (Unconfirmed("x"), False, "unconfirmed"),
        (NeedsReconnect("x"), False, "scheduled"),
    ],
)
def test_each_error_has_one_next_state(error: PublishError, maybe_sent: bool, state: str) -> None:
    assert after(error, retries=0, maybe_sent=maybe_sent, now=NOW, chance=0.5).state == state


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_grows_to_fifteen_minutes_and_no_further(retries: int, chance: float) -> None:
    assert timedelta() <= back_off(retries, chance) <= LONGEST_WAIT


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 86_400))
def test_a_retry_is_never_earlier_than_the_network_asked(chance: float, asked: int) -> None:
    step = after(
        Temporary("x", retry_after=asked), retries=3, maybe_sent=False, now=NOW, chance=chance
    )
    assert step.due_at is not None
    assert step.due_at >= NOW + timedelta(seconds=asked)


def test_an_unknown_error_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError):
        after(PublishError("x"), retries=0, maybe_sent=False, now=NOW, chance=0)


def test_what_a_network_still_processes_is_asked_after_every_minute_at_most() -> None:
    def wait(retries: int) -> timedelta:
        step = after(Processing("x"), retries=retries, maybe_sent=False, now=NOW, chance=0.5)
        assert step.due_at is not None
        return step.due_at - NOW

    assert [wait(retries).total_seconds() for retries in (0, 1, 2, 3, 4, 400)] == [
        5,
        10,
        20,
        40,
        60,
        60,
    ]
