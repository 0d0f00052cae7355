"""The Monte-Carlo Fisher is unbiased: a studentised test with a fixed number of draws."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from fishergauge.reference import Curvature, Problem, ProblemError, UndefinedError
from fishergauge.suites.closeness import ClaimViolated, assert_apart
from fishergauge.suites.conftest import Note
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import Setting, zoo_problem
from fishergauge.suites.zoo.linear_models import LINEAR

REPETITIONS = {1: 240, 8: 60}  # fixed beforehand: what it takes to see a bias of 2 %
TERMS = 5000  # many samples and few parameters, so that one estimate is already precise
FAMILY_LEVEL = 1e-6  # probability that a correct estimator turns any test of this file red
SAMPLES = [1, 8]
KINDS = ["gaussian", "categorical", "bernoulli"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", SAMPLES)
def test_the_estimate_is_unbiased(kind: str, samples: int, quantities: Quantities, note: Note) -> None:
    problem = _large_problem(kind)
    exact = quantities.fisher(problem).dense()
    directions = torch.randn(4, len(exact), generator=generator("directions", kind), dtype=torch.float64)
    weights = torch.stack([exact, torch.eye(len(exact), dtype=torch.float64), *(torch.outer(d, d) for d in directions)])
    draws = generator("monte carlo", kind, samples)
    repetitions = REPETITIONS[samples]
    matrices = (quantities.monte_carlo_fisher(problem, samples, draws).dense() for _ in range(repetitions))
    estimates = torch.stack([torch.einsum("wij,ij->w", weights, matrix) for matrix in matrices])
    expected = torch.einsum("wij,ij->w", weights, exact)
    error = estimates.std(0) / repetitions**0.5
    level = FAMILY_LEVEL / (len(KINDS) * len(SAMPLES) * len(weights))
    critical = float(stats.t.isf(level / 2, repetitions - 1))
    # a bias of this size turns the test red with probability 1 - 1e-6
    detectable = float((error / expected).min()) * (critical + float(stats.norm.isf(1e-6)))
    statistic = (estimates.mean(0) - expected) / error
    note(f"Monte-Carlo Fisher, {kind}, S = {samples}: {repetitions} estimates; a bias of {detectable:.2%} would be seen")
    if not bool((statistic.abs() <= critical).all()):
        ratios = [round(float(r), 4) for r in estimates.mean(0) / expected]
        raise ClaimViolated(
            f"biased: mean over exact {ratios}, t = {[round(float(t), 1) for t in statistic]}, critical {critical:.1f}; "
            f"a bias of {detectable:.1%} is seen with probability 1 - 1e-6"
        )
    assert detectable < 0.02, f"the test would miss a bias below {detectable:.1%}"


@pytest.mark.parametrize("kind", KINDS)
def test_two_draws_differ_and_the_same_seed_repeats(kind: str, quantities: Quantities) -> None:
    problem = _large_problem(kind)
    first, again, other = (
        quantities.monte_carlo_fisher(problem, 2, torch.Generator().manual_seed(seed)).dense() for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert_apart(first, other, "estimates from different seeds", least=1e-4)


def test_bad_requests_are_refused(quantities: Quantities) -> None:
    with pytest.raises(UndefinedError, match="at least one sample, not 0"):
        quantities.monte_carlo_fisher(zoo_problem("softmax-regression"), 0, torch.Generator())
    with pytest.raises(UndefinedError, match="has a weight"):
        quantities.monte_carlo_fisher(zoo_problem("positive-weights"), 1, torch.Generator())
    bad = zoo_problem("mlp-tanh-softmax")
    with pytest.raises(ProblemError, match="outside 0 to 2"):
        Problem(bad.model, bad.loss, [(bad.inputs, bad.targets + 3)])


def _inner_products(weights: Tensor, matrix: Curvature) -> Tensor:
    return torch.einsum("wij,ij->w", weights, matrix.dense())


def _large_problem(kind: str) -> Problem:
    s = Setting(f"monte-carlo-{kind}")
    inputs = s.normal(TERMS, 2)
    if kind == "gaussian":
        return s.problem(lambda: torch.nn.Linear(2, 2), torch.nn.MSELoss(), [(inputs, s.normal(TERMS, 2))], LINEAR)
    if kind == "bernoulli":
        return s.problem(lambda: torch.nn.Linear(2, 2), torch.nn.BCEWithLogitsLoss(), [(inputs, s.binary(TERMS, 2))], LINEAR)
    return s.problem(lambda: torch.nn.Linear(2, 3), torch.nn.CrossEntropyLoss(), [(inputs, s.labels(3, TERMS))], LINEAR)
