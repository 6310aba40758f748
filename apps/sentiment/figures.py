"""The statistics that trends and comparisons rest on, in plain Python: no rows, no database."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


def _beta_fraction(a: float, b: float, x: float) -> float:
    # Lentz's method for the continued fraction (Numerical Recipes, section 6.4).
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    result = d
    for m in range(1, 300):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            result *= d * c
        if abs(d * c - 1) < 1e-12:
            break
    return result


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def t_two_sided(t: float, freedom: float) -> float:
    """The chance of a Student t at least this far from zero."""
    if freedom <= 0:
        return 1.0
    if math.isinf(t):
        return 0.0
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


@lru_cache(maxsize=2_048)
def t_quantile(freedom: float, within: float = 0.95) -> float:
    """How far from zero `within` of Student's t with this freedom stays, by bisection."""
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        if t_two_sided(middle, freedom) > 1 - within:
            low = middle
        else:
            high = middle
    return high


def binomial_upper_tail(n: int, k: int, chance: float) -> float:
    """The chance of k or more successes in n tries."""
    if k <= 0:
        return 1.0
    if k > n or chance <= 0:
        return 0.0
    return incomplete_beta(k, n - k + 1, min(chance, 1.0))


def wilson(successes: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval for a share (Wilson 1927)."""
    if n <= 0:
        return 0.0, 1.0
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Slope:
    """A weighted straight line: its change per step with a 95 % interval, and p."""

    slope: float
    low: float
    high: float
    p: float
    n: int


def weighted_slope(x: Sequence[float], y: Sequence[float], weight: Sequence[float]) -> Slope | None:
    """Weighted least squares; the scatter of the points gives the interval. None below three."""
    n = len(x)
    total = sum(weight)
    if n < 3 or total <= 0:
        return None
    mean_x = sum(w * a for w, a in zip(weight, x, strict=True)) / total
    mean_y = sum(w * b for w, b in zip(weight, y, strict=True)) / total
    spread = sum(w * (a - mean_x) ** 2 for w, a in zip(weight, x, strict=True))
    if spread <= 0:
        return None
    slope = (
        sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weight, x, y, strict=True)) / spread
    )
    left = sum(
        w * (b - mean_y - slope * (a - mean_x)) ** 2 for w, a, b in zip(weight, x, y, strict=True)
    )
    error = math.sqrt(left / (n - 2) / spread)
    if error < 1e-12:
        return Slope(slope, slope, slope, 0.0 if slope else 1.0, n)
    reach = t_quantile(n - 2) * error
    return Slope(slope, slope - reach, slope + reach, t_two_sided(slope / error, n - 2), n)


@dataclass(frozen=True, slots=True)
class Correlation:
    """How two series go together: Spearman's rank correlation, how many pairs, and p."""

    coefficient: float
    n: int
    p: float


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for index in order[start : end + 1]:
            ranks[index] = (start + end) / 2
        start = end + 1
    return ranks


def spearman(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """Rank correlation with a t approximation for p; None below five pairs or without spread."""
    n = len(x)
    if n < 5:
        return None
    a, b = _ranks(x), _ranks(y)
    mean = (n - 1) / 2
    over = sum((p - mean) * (q - mean) for p, q in zip(a, b, strict=True))
    under = math.sqrt(sum((p - mean) ** 2 for p in a) * sum((q - mean) ** 2 for q in b))
    if under == 0:
        return None
    r = max(-1.0, min(1.0, over / under))
    t = math.inf if abs(r) == 1 else r * math.sqrt((n - 2) / (1 - r * r))
    return Correlation(r, n, t_two_sided(t, n - 2))


@dataclass(frozen=True, slots=True)
class Sample:
    """Weighted sums over scores: of weights, squared weights, w s, and w s squared."""

    weight: float
    weight_squared: float
    score: float
    score_squared: float

    @property
    def mean(self) -> float:
        return self.score / self.weight if self.weight else 0.0

    @property
    def size(self) -> float:
        """How many readings of full weight these are worth (Kish 1965)."""
        return self.weight**2 / self.weight_squared if self.weight_squared else 0.0

    @property
    def variance(self) -> float:
        """The unbiased variance of one reading."""
        size = self.size
        if size <= 1:
            return 0.0
        return max(0.0, self.score_squared / self.weight - self.mean**2) * size / (size - 1)


@dataclass(frozen=True, slots=True)
class Difference:
    """One mean less another, with a 95 % interval and p."""

    difference: float
    low: float
    high: float
    p: float


def welch(a: Sample, b: Sample) -> Difference | None:
    """Welch's t-test on weighted samples; None where either has fewer than two readings."""
    if a.size < 2 or b.size < 2:
        return None
    va, vb = a.variance / a.size, b.variance / b.size
    difference = a.mean - b.mean
    if va + vb <= 0:
        return Difference(difference, difference, difference, 0.0 if difference else 1.0)
    error = math.sqrt(va + vb)
    freedom = (va + vb) ** 2 / (va**2 / (a.size - 1) + vb**2 / (b.size - 1))
    reach = t_quantile(freedom) * error
    return Difference(
        difference, difference - reach, difference + reach, t_two_sided(difference / error, freedom)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment: several comparisons at once keep one error rate (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = running
    return adjusted
