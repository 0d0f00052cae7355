"""Logistic regression with two parameters: how far Laplace is from the exact posterior, and how fast it gets there."""

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import norm, t
from torch import Tensor, nn

from fishergauge.reference import Problem, likelihood_of
from fishergauge.reference.class_probabilities import class_probabilities
from fishergauge.reference.gaussian_predictive import GaussianPredictive
from fishergauge.reference.gaussian_prior import GaussianPrior
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_predictive import linearized_predictive, sampled_predictive
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.grid_posterior import GridPosterior, grid_posterior
from fishergauge.suites.laplace_cases import maximum_a_posteriori
from fishergauge.suites.logistic_cases import LogisticCase, logistic_case
from fishergauge.suites.random_walk_metropolis import random_walk_metropolis, split_r_hat
from fishergauge.suites.seeding import generator

LEVEL = 1e-6
TIMES = tuple(4**power for power in range(6))  # N = 10, 40, 160, 640, 2560, 10240
SIZES = (10, 40, 160, 640)
BINARY = likelihood_of(nn.BCEWithLogitsLoss())
CLASSES = likelihood_of(nn.CrossEntropyLoss())
INPUTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [-1.0, 2.0]], dtype=torch.float64)

GRID = np.linspace(0, 9, 90_001)
DISTANCE = float(np.abs(1 / (1 + np.exp(-GRID)) - norm.cdf(np.sqrt(np.pi / 8) * GRID)).max())
"""The largest distance of the logistic function from the cumulative normal of the same slope, 0.0177."""


# --- the grid, by itself and by a sampler -------------------------------------------------------


def test_the_grid_integrates_a_gaussian_exactly() -> None:
    mean = torch.tensor([0.7, -1.2], dtype=torch.float64)
    precision = torch.tensor([[40.0, 30.0], [30.0, 90.0]], dtype=torch.float64)

    def log_density(points: Tensor) -> Tensor:
        offset = points - mean
        return 3 - ((offset @ precision) * offset).sum(1) / 2

    found = grid_posterior(log_density, 10.0)
    for grid in (found, found.coarse()):
        assert_close(grid.mean, mean, "mean", size=len(grid.points), condition=10)
        assert_close(grid.covariance, torch.linalg.inv(precision), "covariance", size=len(grid.points), condition=10)
        exact = 3 + math.log(2 * math.pi) - torch.logdet(precision) / 2
        assert_close(grid.log_evidence, exact, "evidence", size=len(grid.points), condition=10)
    assert_apart(grid_posterior(log_density, 10.0, rounds=1).covariance, torch.linalg.inv(precision), "one round")


@pytest.mark.parametrize("times", TIMES)
def test_twice_the_spacing_of_the_grid_says_the_same(times: int) -> None:
    """So that the errors below, above 1e-5, are those of Laplace."""
    fine = logistic_case(10, times).grid()
    coarse = fine.coarse()
    for one, other in (
        (fine.mean, coarse.mean),
        (fine.covariance, coarse.covariance),
        (fine.log_evidence, coarse.log_evidence),
    ):
        assert float((one - other).norm()) <= 1e-9 * float(one.norm())
    sparse = coarse.coarse().coarse()
    assert float((sparse.covariance - fine.covariance).norm()) > 1e-9 * float(fine.covariance.norm())


def test_long_chains_have_the_moments_of_the_grid_and_not_those_of_laplace(note: Note) -> None:
    """Averages of independent chains are independent: Student's statistic of each moment, the level divided among five."""
    case, source = logistic_case(10), generator("metropolis")
    grid, posterior = case.grid(), laplace(case.problem(), prior=case.prior)
    starts = 2 * torch.randn(256, 2, generator=source, dtype=torch.float64)
    chains = random_walk_metropolis(case.log_density, starts, torch.eye(2, dtype=torch.float64), 2500, source)
    mixed = split_r_hat(chains[500:])
    assert mixed < 1.01
    assert split_r_hat(chains[:20]) > 1.05  # what has not mixed is noticed
    kept = chains[500:]
    moments = torch.cat([kept, kept.square(), kept.prod(-1, keepdim=True)], -1).mean(0)
    error = moments.std(0) / math.sqrt(len(starts))
    limit = float(t.isf(LEVEL / 10, len(starts) - 1))

    def moments_of(mean: Tensor, covariance: Tensor) -> Tensor:
        second = covariance + torch.outer(mean, mean)
        return torch.cat([mean, second.diagonal(), second[0, 1:]])

    exact, gaussian = moments_of(grid.mean, grid.covariance), moments_of(posterior.mean, posterior.covariance())
    assert float(((moments.mean(0) - exact) / error).abs().max()) < limit
    assert float(((moments.mean(0) - gaussian) / error).abs().max()) > limit
    note(f"Metropolis: R-hat {mixed:.4f}; an error of {float((2 * limit * error).max()):.3f} in a moment would be seen")


# --- how far Laplace is -------------------------------------------------------------------------


@cache
def _posteriors(samples: int, times: int) -> tuple[LogisticCase, GridPosterior, LaplacePosterior]:
    case = logistic_case(samples, times)
    return case, case.grid(), laplace(case.problem(), prior=case.prior)


def _gaussian_integral(mean: Tensor, variance: Tensor, nodes: int = 100) -> Tensor:
    """E[sigma(z)] of z ~ N(mean, variance), by the Gauss-Hermite rule, elementwise."""
    points, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    values = (mean[..., None] + variance.sqrt()[..., None] * points).sigmoid()
    return values @ weights / math.sqrt(2 * math.pi)


def _relative(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


Error = Callable[[GridPosterior, LaplacePosterior], float]


def _largest(probabilities: Callable[[GaussianPredictive], Tensor]) -> Error:
    """The largest error of predictive probabilities at four inputs."""

    def error(grid: GridPosterior, posterior: LaplacePosterior) -> float:
        exact = grid.expectation((grid.points @ INPUTS.T).sigmoid())
        found = probabilities(linearized_predictive(posterior, INPUTS)).flatten()
        return float((found - exact).abs().max())

    return error


def _mahalanobis(grid: GridPosterior, posterior: LaplacePosterior) -> float:
    """What the exact posterior finds for the squared distance that is 2 under Laplace: relative."""
    offset = grid.points - posterior.mean
    squared = grid.expectation(posterior.precision.whiten(offset).square().sum(1))
    return abs(float(squared) / 2 - 1)


ERRORS: dict[str, Error] = {
    "mean": lambda grid, posterior: float((posterior.mean - grid.mean).norm()),
    "covariance, relative": lambda grid, posterior: _relative(posterior.covariance(), grid.covariance),
    "log evidence": lambda grid, posterior: abs(float(posterior.log_evidence() - grid.log_evidence)),
    "squared distance, relative": _mahalanobis,
    "probabilities by the integral": _largest(lambda p: _gaussian_integral(p.mean, p.variance)),
    "probabilities by probit": _largest(class_probabilities),
    "probabilities of the mean": _largest(lambda p: p.mean.sigmoid()),
}

WRONG: dict[str, Error] = {
    "covariance of a doubled likelihood": lambda grid, posterior: _relative(
        torch.linalg.inv(2 * posterior.precision.dense() - 1.5 * torch.eye(2).double()), grid.covariance
    ),
    "covariance of the mean loss": lambda grid, posterior: _relative(
        laplace(posterior.problem, _curvature_of_the_mean(posterior), "full", 1.5).covariance(), grid.covariance
    ),
    "covariance by the empirical Fisher": lambda grid, posterior: _relative(
        laplace(posterior.problem, "empirical-fisher", prior=1.5).covariance(), grid.covariance
    ),
    "covariance by the diagonal": lambda grid, posterior: _relative(
        laplace(posterior.problem, structure="diagonal", prior=1.5).covariance(), grid.covariance
    ),
    "evidence without the prior's normaliser": lambda grid, posterior: abs(
        float(posterior.log_evidence() - grid.log_evidence) - math.log(1.5)
    ),
    "evidence without 2 pi": lambda grid, posterior: abs(
        float(posterior.log_evidence() - grid.log_evidence) - math.log(2 * math.pi)
    ),
    "evidence of another mode": lambda grid, posterior: abs(
        float(laplace(posterior.problem.at(0.9 * posterior.mean), prior=1.5).log_evidence() - grid.log_evidence)
    ),
    "probit by standard deviations": _largest(lambda p: (p.mean / (1 + math.pi / 8 * p.variance.sqrt()).sqrt()).sigmoid()),
}


def _curvature_of_the_mean(posterior: LaplacePosterior) -> Tensor:
    """The curvature divided by N once too often."""
    prior = 1.5 * torch.eye(2, dtype=torch.float64)
    return (posterior.precision.dense() - prior) / posterior.problem.num_samples**2


def _orders(error: Error) -> list[float]:
    """By which power of 1/N an error falls, from each number of samples to four times as many."""
    errors = [error(*_posteriors(10, times)[1:]) for times in TIMES]
    return [math.log(before / after, 4) for before, after in pairwise(errors)]


@pytest.mark.parametrize("what", ERRORS)
def test_the_error_of_laplace_is_of_order_one_over_n(what: str, note: Note) -> None:
    r"""Ten samples, counted 1, 4, 16, ... times: the error is :math:`c / N + b / N^2 + \dots` with constants of the ten.

    So the local order deviates from one by a quantity of order 1/N too, which falls by four from each to the next; half is
    asked for. One half and two, the orders of the neighbouring terms of an expansion in the root of 1/N and of 1/N, are out.
    """
    orders = _orders(ERRORS[what])
    sizes = [ERRORS[what](*_posteriors(10, times)[1:]) for times in TIMES[:4]]
    note(f"{what}: {', '.join(f'{s:.2g}' for s in sizes)} for N = 10, 40, 160, 640; last order {orders[-1]:.3f}")
    deviations = [abs(order - 1) for order in orders]
    assert deviations[-1] < 1 / 8
    assert deviations[-1] <= deviations[-2] / 2


@pytest.mark.parametrize("what", WRONG)
def test_wrong_posteriors_do_not_get_there(what: str) -> None:
    assert _orders(WRONG[what])[-1] < 5 / 8


@pytest.mark.parametrize("what", ERRORS)
def test_with_fresh_samples_the_error_falls_too(what: str, note: Note) -> None:
    """The constant depends on the data then: 64 times as many samples are asked to leave a quarter of the error."""
    sizes = [ERRORS[what](*_posteriors(samples, 1)[1:]) for samples in SIZES]
    note(f"{what}, fresh samples: {', '.join(f'{s:.2g}' for s in sizes)} for N = 10, 40, 160, 640")
    assert sizes[-1] < sizes[0] / 4


def test_monte_carlo_and_sampled_networks_are_the_gaussian_integral_and_not_the_exact_one(note: Note) -> None:
    """Hoeffding's bound, the level divided among both and four inputs; at N = 10 the error of Laplace is larger."""
    _, grid, posterior = _posteriors(10, 1)
    predictive = linearized_predictive(posterior, INPUTS)
    integral = _gaussian_integral(predictive.mean, predictive.variance)[:, 0]
    draws = 200_000
    bound = math.sqrt(math.log(2 * 8 / LEVEL) / (2 * draws))
    by_logits = class_probabilities(predictive, "monte-carlo", draws, generator("logits"))[:, 0]
    by_networks = sampled_predictive(posterior, INPUTS, draws, generator("networks")).sigmoid().mean(0)[:, 0]
    exact = grid.expectation((grid.points @ INPUTS.T).sigmoid())
    for found in (by_logits, by_networks):
        assert float((found - integral).abs().max()) <= bound
        assert float((found - exact).abs().max()) > bound
        assert float((found - predictive.mean.sigmoid()[:, 0]).abs().max()) > bound
    note(f"probabilities: an error of {2 * bound:.4f} would be seen in {draws} draws; that of Laplace at N = 10 is larger")


# --- the probit approximation -------------------------------------------------------------------


def _logistic_normal(mean: Tensor, variance: float) -> Tensor:
    """E[sigma(z)], by the trapezoidal rule, whose error is exp(-2 pi^2 sqrt(variance) / h): for large variances too."""
    step = 0.02 / max(1.0, math.sqrt(variance))
    points = torch.arange(-9, 9 + step / 2, step, dtype=torch.float64)
    weights = (-points.square() / 2).exp() * step / math.sqrt(2 * math.pi)
    return (mean[:, None] + math.sqrt(variance) * points).sigmoid() @ weights


def _probit_error(variance: float, change: Callable[[float], float] = lambda v: v) -> float:
    mean = torch.linspace(0, 6, 121, dtype=torch.float64) * math.sqrt(1 + variance)
    covariance = torch.full((121, 1, 1), change(variance), dtype=torch.float64)
    found = class_probabilities(GaussianPredictive(mean[:, None], covariance, BINARY))[:, 0]
    return float((found - _logistic_normal(mean, variance)).abs().max())


def test_the_probit_error_is_at_most_the_distance_of_the_two_curves(note: Note) -> None:
    r"""0.0177: the difference of logistic function and normal integral has one sign on each side of zero.

    The error is its mean under N(mu, s^2) less its value at the scaled mean: of equal signs and each at most that distance,
    so that the difference is so too. In the limit of wide Gaussians it is reached.
    """
    variances = (0.1, 0.5, 1.0, 2.0, 4.0, 9.0, 25.0, 100.0)
    errors = [_probit_error(variance) for variance in variances]
    sizes = ", ".join(f"{error:.4f} at {variance:g}" for variance, error in zip(variances, errors, strict=True))
    note(f"probit for one logit: at most {DISTANCE:.4f}; largest error over the means: {sizes}")
    assert 0.0176 < DISTANCE < 0.0177
    assert all(error <= DISTANCE for error in errors)
    assert errors == sorted(errors)
    assert errors[-1] > 0.95 * DISTANCE  # the bound is sharp
    for wrong in (math.sqrt, lambda v: v**2, lambda v: 2 * v, lambda _: 0.0):
        assert _probit_error(4.0, wrong) > DISTANCE


def test_the_difference_of_the_two_curves_has_one_sign_on_each_side() -> None:
    """What the proof needs, with the slope of pi / 8; with another slope it is not so."""
    z = np.linspace(0.01, 30, 30_000)
    logistic = 1 / (1 + np.exp(-z))
    assert bool((logistic <= norm.cdf(math.sqrt(math.pi / 8) * z)).all())
    assert not bool((logistic <= norm.cdf(z / 1.702)).all())


# --- several classes ----------------------------------------------------------------------------


def _two_classes(case: LogisticCase) -> LaplacePosterior:
    """The same data by a softmax of two logits; the prior of the weights gives their difference that of the case."""
    with torch.random.fork_rng(devices=[]):
        model = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    problem = Problem(model, nn.CrossEntropyLoss(), [(case.inputs, case.labels.long())], "two classes")
    prior = GaussianPrior(2 * case.prior)
    return laplace(maximum_a_posteriori(problem, prior), prior=prior)


@pytest.mark.parametrize("samples", [10, 40])
def test_two_classes_are_one_binary_label(samples: int) -> None:
    """The sum of the two logits keeps its prior and says nothing: mean, variance and evidence are those of the difference."""
    case, _, binary = _posteriors(samples, 1)
    softmax = _two_classes(case)
    one, two = linearized_predictive(binary, INPUTS), linearized_predictive(softmax, INPUTS)
    contrast = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    mean, variance = two.mean @ contrast, torch.einsum("c,ncd,d->n", contrast, two.covariance, contrast)
    condition = 10 * float(torch.linalg.cond(softmax.precision.dense()))
    assert_close(mean, one.mean[:, 0], "mean of the difference", condition=condition)
    assert_close(variance, one.variance[:, 0], "its variance", condition=condition)
    assert_close(softmax.log_evidence(), binary.log_evidence(), "evidence", condition=condition)
    assert_apart(two.variance[:, 1], one.variance[:, 0], "the variance of one logit is not that of the difference")
    same = linearized_predictive(laplace(softmax.problem, prior=case.prior), INPUTS).covariance
    assert_apart(torch.einsum("c,ncd,d->n", contrast, same, contrast), one.variance[:, 0], "the same prior for each weight")


def test_monte_carlo_of_two_classes_is_the_binary_integral(note: Note) -> None:
    """From few draws to many, always within Hoeffding's bound; the probit rule of several classes is another approximation."""
    source = generator("two classes")
    mean = torch.randn(5, 2, generator=source, dtype=torch.float64)
    root = 1.5 * torch.randn(5, 2, 2, generator=source, dtype=torch.float64)
    covariance = root @ root.mT
    predictive = GaussianPredictive(mean, covariance, CLASSES)
    variance = covariance[:, 0, 0] + covariance[:, 1, 1] - 2 * covariance[:, 0, 1]
    exact = _gaussian_integral(mean[:, 1] - mean[:, 0], variance)
    uncorrelated = _gaussian_integral(mean[:, 1] - mean[:, 0], covariance[:, 0, 0] + covariance[:, 1, 1])
    for draws in (1_000, 10_000, 100_000):
        found = class_probabilities(predictive, "monte-carlo", draws, generator("draws", draws))
        bound = math.sqrt(math.log(2 * 15 / LEVEL) / (2 * draws))
        assert_close(found.sum(1), torch.ones(5, dtype=torch.float64), "a distribution", size=draws)
        assert float((found[:, 1] - exact).abs().max()) <= bound
    assert float((found[:, 1] - uncorrelated).abs().max()) > bound
    assert float((found[:, 0] - exact).abs().max()) > bound
    binary = GaussianPredictive(mean @ torch.tensor([[-1.0], [1.0]]).double(), variance[:, None, None], BINARY)
    by_binary, by_classes = class_probabilities(binary)[:, 0], class_probabilities(predictive)[:, 1]
    assert float((by_binary - exact).abs().max()) <= DISTANCE
    largest = float((by_classes - exact).abs().max())
    assert largest > DISTANCE  # it looks at no covariance
    shifted = class_probabilities(GaussianPredictive(mean + 3, covariance, CLASSES))[:, 1]
    note(
        f"probit for two logits: largest error {largest:.3f} at five Gaussians, "
        f"a shift of both logits by 3 changes it by {float((shifted - by_classes).abs().max()):.3f}"
    )
