"""The statistics: they find what is there, and claim nothing that is not."""

import random
from collections import Counter
from datetime import date, timedelta

import pytest

from apps.sentiment import figures, trends
from apps.sentiment.figures import Sample
from apps.sentiment.trends import DayFigures


def days_of(
    levels: list[float], per_day: int, seed: int = 0, spread: float = 0.4
) -> list[DayFigures]:
    rng = random.Random(seed)
    found = []
    for number, level in enumerate(levels):
        scores = [max(-1.0, min(1.0, rng.gauss(level, spread))) for _ in range(per_day)]
        sample = Sample(per_day, per_day, sum(scores), sum(each * each for each in scores))
        found.append(DayFigures(date(2026, 1, 1) + timedelta(number), per_day, sample))
    return found


def test_noise_is_not_given_a_direction() -> None:
    said = Counter(trends.trend(days_of([0.1] * 30, 20, seed)).direction for seed in range(200))
    # A 95 % interval errs in one of twenty.
    assert said["improving"] + said["declining"] <= 20
    assert said["stable"] >= 170


def test_few_readings_are_insufficient() -> None:
    said = Counter(trends.trend(days_of([0.1] * 30, 1, seed)).direction for seed in range(100))
    assert said["insufficient_data"] >= 85
    assert trends.trend([]).direction == "insufficient_data"
    assert trends.trend(days_of([0.0, 0.9], 500)).direction == "insufficient_data"


@pytest.mark.parametrize(("end", "direction"), [(0.5, "improving"), (-0.4, "declining")])
def test_a_real_change_is_found(end: float, direction: str) -> None:
    levels = [end * day / 29 for day in range(30)]
    found = trends.trend(days_of(levels, 20))
    assert found.direction == direction
    assert found.slope is not None
    assert found.slope.low < end / 29 < found.slope.high


def test_a_step_is_a_change_point_and_noise_is_none() -> None:
    points = trends.trend(days_of([0.4] * 15 + [-0.1] * 15, 20)).change_points
    assert [abs((point.date - date(2026, 1, 16)).days) <= 1 for point in points] == [True]
    wrong = sum(
        bool(trends.trend(days_of([0.1] * 30, 10, seed)).change_points) for seed in range(200)
    )
    assert wrong <= 6


def test_volatility_beside_what_chance_would_show() -> None:
    calm = trends.trend(days_of([0.1] * 60, 10))
    assert calm.volatility == pytest.approx(calm.chance_volatility, rel=0.3)
    wild = trends.trend(days_of([0.5, -0.5] * 30, 10))
    assert wild.volatility > 3 * wild.chance_volatility


def test_figures_agree_with_tables() -> None:
    assert figures.t_quantile(10) == pytest.approx(2.228, abs=0.001)
    assert figures.t_quantile(1) == pytest.approx(12.706, abs=0.001)
    assert figures.binomial_upper_tail(20, 15, 0.5) == pytest.approx(0.02069, abs=0.0001)
    found = figures.spearman([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])
    assert found is not None
    assert found.coefficient == pytest.approx(0.8286, abs=0.001)
    assert figures.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert figures.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=0.001)


def test_welch_on_weighted_samples() -> None:
    a = Sample(50, 50, 20, 20)
    b = Sample(50, 50, 5, 15)
    found = figures.welch(a, b)
    assert found is not None
    assert found.difference == pytest.approx(0.3)
    assert found.low < 0.3 < found.high
    assert found.p < 0.05
    assert figures.welch(a, Sample(1, 1, 0, 0)) is None


def test_weights_count_as_kish_says() -> None:
    assert Sample(10, 10, 0, 0).size == 10
    # One reading of weight 1 and nine of weight 1/10 are hardly more than one.
    assert Sample(1.9, 1.09, 0, 0).size == pytest.approx(3.31, abs=0.01)
