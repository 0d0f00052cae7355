"""What probes see, against simulation: the quantiles are those of the worst matrix, and no other matrix does worse."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fishergauge.suites.claims.statistics import FAMILY_LEVEL, STATISTICS
from fishergauge.suites.probes import power
from fishergauge.suites.probes.probe import MISSED

DRAWS = 200_000
SPECTRA = {
    "rank one": [1.0],
    "rank two": [1.0, 1.0],
    "rank two, uneven": [1.0, 0.1],
    "rank ten": [1.0] * 10,
    "decaying": [0.5**i for i in range(12)],
    "one large and many small": [1.0] + [0.05] * 50,
}
Spectrum = list[float]
Numbers = npt.NDArray[np.float64]


def source(*names: object) -> np.random.Generator:
    """Randomness of its own for each test."""
    return np.random.default_rng([ord(c) for c in "/".join(map(str, names))])


def growths(singular_values: Spectrum, columns: int, draws: int = DRAWS) -> Numbers:
    """|D X|_F / |D|_F of a matrix with these singular values, many times."""
    weights = np.square(singular_values) / np.sum(np.square(singular_values))
    rng = source("growths", singular_values, columns)
    squares: Numbers = np.sum([w * rng.chisquare(columns, draws) for w in weights], 0)
    return np.sqrt(squares)


def at_most(frequency: float, probability: float, draws: int = DRAWS) -> bool:
    """Whether a frequency is explained by a probability of that size or less, at six standard deviations."""
    return frequency <= probability + 6 * math.sqrt(probability * (1 - probability) / draws)


def explained(frequency: float, probability: float, draws: int = DRAWS) -> bool:
    """Whether a frequency is explained by just that probability."""
    return at_most(frequency, probability, draws) and at_most(1 - frequency, 1 - probability, draws)


@pytest.mark.parametrize("columns", [1, 2, 8])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_growth_leaves_its_quantiles_no_more_often_than_said(spectrum: str, columns: int) -> None:
    found, missed = growths(SPECTRA[spectrum], columns), 1e-3
    assert at_most(float((found < power.least_growth(columns, missed)).mean()), missed)
    assert at_most(float((found > power.largest_growth(columns, missed)).mean()), missed)


@pytest.mark.parametrize("columns", [1, 2, 8])
def test_quantiles_are_those_of_rank_one(columns: int) -> None:
    found, missed = growths([1.0], columns), 1e-2
    for frequency in (
        float((found < power.least_growth(columns, missed)).mean()),
        float((found > power.largest_growth(columns, missed)).mean()),
    ):
        assert explained(frequency, missed)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 8, 16, 64])
def test_rank_one_is_the_worst_case_at_the_level_that_is_used(columns: int) -> None:
    """As in the docstrings: Chernoff's bound where no weight dominates, and every mode is left of the upper quantile."""
    for missed in (MISSED, MISSED / 2, MISSED / 3):
        lower, upper = power.least_growth(columns, missed) ** 2, power.largest_growth(columns, missed) ** 2
        m = lower / columns
        assert columns / (2 * m) * (math.log(m) + 1 - m) < math.log(missed) < 0
        assert upper > columns + 2 + math.sqrt(6 * columns + 12)


@pytest.mark.parametrize("columns", [1, 2, 8])
def test_relative_defect_of_that_size_is_seen(columns: int) -> None:
    """The worst case twice: a defect and a target of rank one, in independent directions."""
    bound, missed = 1e-3, 1e-2
    rng = source("relative", columns)
    defect, target = (np.sqrt(rng.chisquare(columns, DRAWS)) for _ in range(2))
    size = power.seen_relative(bound, columns, missed)
    assert at_most(float((size * defect <= bound * target).mean()), missed)
    assert float((size / 100 ** (1 / columns) / 5 * defect <= bound * target).mean()) > missed  # not much less would do


def skew_growths(pairs: Spectrum, columns: int, draws: int) -> Numbers:
    """|X'SX|_F / |S|_F of S = sum of s (u v' - v u'), many times."""
    rng = source("skew", pairs, columns)
    total = np.zeros((draws, columns, columns))
    for s in pairs:
        a, b = rng.standard_normal((2, draws, columns))
        total += s * (a[:, :, None] * b[:, None, :] - b[:, :, None] * a[:, None, :])
    squares: Numbers = np.square(total).sum((1, 2)) / (2 * np.sum(np.square(pairs)))
    return np.sqrt(squares)


@pytest.mark.parametrize("columns", [2, 3, 8])
def test_asymmetric_growth_is_half_a_chi_square(columns: int) -> None:
    found = skew_growths([1.0], columns, 20_000)
    assert stats.kstest(found, stats.chi2(2 * (columns - 1), scale=0.5).cdf).pvalue > 1e-6
    for missed in (1e-2, 0.5):
        frequency = float((found < power.least_skew_growth(columns, missed)).mean())
        assert explained(frequency, missed, 20_000)


@pytest.mark.parametrize("pairs", [[1.0, 1.0], [1.0, 0.2], [1.0] * 6, [0.5**i for i in range(6)]], ids=str)
@pytest.mark.parametrize("columns", [2, 3, 8])
def test_asymmetry_of_more_ranks_is_seen_no_worse(pairs: Spectrum, columns: int) -> None:
    found, missed = skew_growths(pairs, columns, 20_000), 1e-2
    assert at_most(float((found < power.least_skew_growth(columns, missed)).mean()), missed, 20_000)


def test_asymmetry_of_that_size_is_seen() -> None:
    columns, bound, missed, draws = 8, 1e-3, 1e-2, 20_000
    target = growths([1.0], columns, draws)
    size = power.seen_asymmetry(bound, columns, missed)
    skew = size * skew_growths([1.0], columns, draws)
    assert at_most(float((skew <= bound * columns**0.5 * target).mean()), missed, draws)
    assert float((skew / 20 <= bound * columns**0.5 * target).mean()) > missed


def test_wrong_entries_are_drawn() -> None:
    entries, size, missed = 20, 5000, 1e-2
    wrong = math.ceil(power.seen_fraction(entries, missed) * size)
    found = source("fraction").hypergeometric(wrong, size - wrong, entries, DRAWS)
    assert at_most(float((found == 0).mean()), missed)
    fewer = source("fewer").hypergeometric(wrong // 2, size - wrong // 2, entries, DRAWS)
    assert float((fewer == 0).mean()) > 5 * missed
    assert power.seen_fraction(0) == 1.0


def largest_ritz(values: Numbers, steps: int, rng: np.random.Generator) -> float:
    """The largest Ritz value of a diagonal matrix after Lanczos steps from a random start, by orthogonal Krylov vectors."""
    start = rng.standard_normal(len(values))
    basis = [start / np.linalg.norm(start)]
    for _ in range(steps - 1):
        new = values * basis[-1]
        for _ in range(2):
            new = new - np.array(basis).T @ (np.array(basis) @ new)
        basis.append(new / np.linalg.norm(new))
    vectors = np.array(basis)
    return float(np.linalg.eigvalsh((vectors * values) @ vectors.T)[-1])


@pytest.mark.parametrize("steps", [4, 8, 12])
def test_largest_ritz_value_is_as_near_as_said(steps: int) -> None:
    values, missed, rng = np.linspace(0, 1, 100), 0.2, source("lanczos", steps)
    distance = power.seen_by_lanczos(len(values), steps, missed)
    far = [1 - largest_ritz(values, steps, rng) > distance for _ in range(200)]
    assert at_most(float(np.mean(far)), missed, 200)
    if distance < 1:
        assert 1.648 * 10 * math.exp(-math.sqrt(distance) * (2 * steps - 1)) == pytest.approx(missed)


def test_level_is_that_of_the_claims() -> None:
    assert power.critical_value(60) == pytest.approx(float(stats.t.isf(FAMILY_LEVEL / STATISTICS / 2, 59)))
    means = source("level").standard_normal((20_000, 24))
    statistic = np.sqrt(24) * np.abs(means.mean(1)) / means.std(1, ddof=1)
    frequency = float((statistic > power.critical_value(24, 0.01)).mean())
    assert explained(frequency, 0.01, 20_000)


@pytest.mark.parametrize("draws", [4, 24])
def test_shift_of_that_size_is_seen(draws: int) -> None:
    level, missed, repetitions = 0.01, 0.01, 40_000
    shift = power.seen_shift(draws, level, missed)
    estimates = source("shift", draws).standard_normal((repetitions, draws)) + shift / math.sqrt(draws)
    statistic = np.sqrt(draws) * np.abs(estimates.mean(1)) / estimates.std(1, ddof=1)
    frequency = float((statistic <= power.critical_value(draws, level)).mean())
    assert explained(frequency, missed, repetitions)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (power.seen_relative, (1e-9, 8)),
        (power.seen_asymmetry, (1e-9, 8)),
        (power.seen_fraction, (64,)),
        (power.seen_by_lanczos, (10_000, 60)),
    ],
)
def test_more_looks_see_smaller_defects(function: Callable[..., float], arguments: tuple[float, ...]) -> None:
    *first, looks = arguments
    assert 0 < function(*first, 2 * looks) < function(*first, looks)
