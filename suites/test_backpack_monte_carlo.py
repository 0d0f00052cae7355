"""Monte-Carlo quantities of BackPACK: second moments of gradients at the labels it draws, and unbiased."""

import math

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, UndefinedError, UnsupportedError, block_slices, fisher, output_jacobian
from fishergauge.reference import backpack as route
from fishergauge.reference.backpack_run import drawn_seed
from fishergauge.reference.terms import terms_of
from fishergauge.suites.backpack_cases import BCE, CE, case
from fishergauge.suites.backpack_quantities import assert_agrees
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.precision import converted
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

FUNCTIONS = ["backpack_monte_carlo_fisher", "backpack_monte_carlo_fisher_diagonal", "backpack_kfac"]
DRAWN = [
    "mlp-CrossEntropyLoss-mean",
    "mlp-MSELoss-mean",
    "mlp-MSELoss-sum",
    "mlp-BCEWithLogitsLoss-sum",
    "positions",
    "conv2d",
]


def _labels(problem: Problem, draws: int, seed: int) -> Tensor:
    """The labels that BackPACK draws from ``seed``: ``(S, ...)``."""
    outputs = terms_of(problem).outputs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        distribution: torch.distributions.Distribution
        if isinstance(problem.loss, CE):
            logits = problem.likelihood.split(problem.outputs)
            distribution = torch.distributions.Categorical(logits.softmax(-1))
        elif isinstance(problem.loss, BCE):
            distribution = torch.distributions.Binomial(probs=outputs.sigmoid())
        else:
            distribution = torch.distributions.Normal(outputs, outputs.new_tensor(math.sqrt(0.5)))
        labels: Tensor = distribution.sample(torch.Size((draws,)))  # type: ignore[no-untyped-call]
    return labels.flatten(1) if isinstance(problem.loss, CE) else labels


def _drawn_fisher(problem: Problem, draws: int, seed: int) -> Tensor:
    """The second moment of the gradients of samples at those labels, by the reference in float64: ``(P, P)``."""
    labels, double = _labels(problem, draws, seed), converted(problem, torch.float64)
    labels = labels.double() if labels.is_floating_point() else labels
    terms = terms_of(double)
    residuals = torch.stack([double.likelihood.residuals(terms.outputs, label) for label in labels])
    gradients = torch.einsum("skc,kcp->skp", residuals, output_jacobian(double))
    of_samples = gradients.reshape(-1, terms.per_sample, double.num_parameters).sum(1)
    return of_samples.T @ of_samples / draws / terms.divisor


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", DRAWN)
def test_estimates_are_second_moments_at_drawn_labels(name: str, dtype: torch.dtype) -> None:
    problem, draws = case(name, dtype), 3
    expected = _drawn_fisher(problem, draws, drawn_seed(draws, generator("draws")))
    found = route.backpack_monte_carlo_fisher(problem, draws, generator("draws"))
    assert_agrees(problem, found, expected, "Monte-Carlo Fisher")
    diagonal = route.backpack_monte_carlo_fisher_diagonal(problem, draws, generator("draws"))
    assert_agrees(problem, diagonal, expected.diagonal(), "diagonal of the Monte-Carlo Fisher")
    exact, slices = route.backpack_kflr(problem), block_slices(problem, "parameter")
    first: Tensor | None = None
    for key, factors in route.backpack_kfac(problem, draws, generator("draws")).items():
        if key.endswith("weight"):
            first = factors[0]
            assert torch.equal(factors[1], exact[key][1])
        else:
            assert len(factors) == 1
            assert_agrees(problem, factors[0], expected[slices[key], slices[key]], f"KFAC of {key}")
            assert first is not None
            assert torch.equal(factors[0], first)


@pytest.mark.parametrize("name", ["mlp-MSELoss-mean", "mlp-CrossEntropyLoss-mean", "mlp-BCEWithLogitsLoss-mean", "positions"])
def test_the_estimate_is_unbiased(name: str) -> None:
    problem, source = case(name), generator("unbiased")
    estimates = torch.stack([route.backpack_monte_carlo_fisher(problem, 100, source) for _ in range(30)])
    standard_error = estimates.std(0) / math.sqrt(len(estimates))
    exact = fisher(problem).dense()
    rounding = rounding_bound(problem.dtype, problem.num_parameters) * float(exact.norm())
    # 30 means of 100 draws are near enough to normal: below 1e-8 for each entry by Student's t with 29 degrees
    assert float(((estimates.mean(0) - exact).abs() - 8 * standard_error).max()) <= rounding
    assert float(standard_error.norm() / exact.norm()) < 0.1


def test_the_estimate_follows_its_generator() -> None:
    problem, source = case("mlp-MSELoss-mean"), generator("follows")
    first, second = (route.backpack_monte_carlo_fisher(problem, 2, source) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, route.backpack_monte_carlo_fisher(problem, 2, generator("follows")))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["class-weights", "soft-targets", "positive-weights"])
def test_an_estimate_without_a_likelihood_is_refused(name: str, function: str) -> None:
    with pytest.raises(UndefinedError, match="no negative log-likelihood"):
        getattr(route, function)(zoo_problem(name), 1, generator("refused"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_samples_and_squared_error_at_positions_are_refused(function: str) -> None:
    with pytest.raises(UndefinedError, match="at least one sample, not 0"):
        getattr(route, function)(zoo_problem("linear-regression"), 0, generator("refused"))
    with pytest.raises(UnsupportedError, match=r"MSELoss with outputs \(5, 4, 2\)"):
        getattr(route, function)(case("mse-positions"), 1, generator("refused"))
