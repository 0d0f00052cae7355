"""What the families of distributions refuse by name, instead of answering wrongly."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.families.evolution_strategies import (
    Search,
    minimise,
    natural_search_gradient,
    search_gradient,
    utilities,
    vanilla_step,
    xnes_step,
)
from fishergauge.reference.families.exponential_family import BERNOULLI, EXPONENTIAL, POISSON, ExponentialFamily, gaussian
from fishergauge.reference.families.fisher_information import fisher_information
from fishergauge.reference.families.linear_regression import linear_regression_gradient, linear_regression_natural_gradient
from fishergauge.reference.families.logistic_regression import (
    logistic_regression_empirical_fisher,
    logistic_regression_gradient,
    logistic_regression_loss,
)
from fishergauge.reference.families.multivariate_gaussian import (
    COORDINATES,
    gaussian_fisher,
    gaussian_from_coordinates,
    gaussian_to_coordinates,
)
from fishergauge.reference.families.pushforward import coordinate_derivatives
from fishergauge.reference.families.quadrature import gauss_hermite, gaussian_cubature
from fishergauge.reference.families.variational_inference import (
    Posterior,
    linear_regression_expectations,
    logistic_regression_bound,
    logistic_regression_expectations,
)
from fishergauge.suites.seeding import generator


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_what_is_no_covariance_has_no_coordinates_and_no_fisher(coordinates: str) -> None:
    mean, eye = torch.zeros(2), torch.eye(2)
    for covariance, message in (
        (-eye, "positive definite"),
        (0 * eye, "positive definite"),
        (eye + torch.triu(torch.ones(2, 2), 1), "not symmetric"),
        (math.nan * eye, "not symmetric, or NaN"),
    ):
        for function in (gaussian_to_coordinates, gaussian_fisher):
            with pytest.raises(ProblemError, match=message):
                function(mean, covariance, coordinates)


def test_natural_parameters_without_a_precision_are_refused() -> None:
    with pytest.raises(ProblemError, match="singular"):
        gaussian_from_coordinates(torch.zeros(5), "natural")


@pytest.mark.parametrize(
    ("family", "natural", "mean"),
    [(BERNOULLI, math.inf, 1.2), (POISSON, math.nan, -1.0), (EXPONENTIAL, 1.0, -1.0)],
)
def test_parameters_outside_the_domain_are_refused(family: ExponentialFamily, natural: float, mean: float) -> None:
    for call, value in ((family.mean, natural), (family.fisher, natural), (family.natural, mean), (family.mean_fisher, mean)):
        with pytest.raises(ProblemError, match="outside the domain"):
            call(torch.tensor([value]))


def test_the_mean_parameters_of_no_precision_are_refused() -> None:
    with pytest.raises(ProblemError, match="outside the domain"):
        gaussian(1).mean(torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize(
    "function",
    [
        partial(linear_regression_gradient, variance=1.0),
        linear_regression_natural_gradient,
        logistic_regression_gradient,
        logistic_regression_empirical_fisher,
        logistic_regression_loss,
    ],
)
def test_targets_and_weights_of_a_regression_do_not_broadcast(function: Callable[..., Tensor]) -> None:
    inputs, targets, weights = torch.randn(4, 2, generator=generator("regression")), torch.ones(4), torch.ones(2)
    function(inputs, targets, weights)
    for wrong in ((targets[:, None], weights), (targets[:1], weights), (targets, weights[:, None]), (targets, weights[:1])):
        with pytest.raises(ProblemError, match="do not fit"):
            function(inputs, *wrong)


@pytest.mark.parametrize(
    "function", [logistic_regression_gradient, logistic_regression_empirical_fisher, logistic_regression_loss]
)
def test_labels_of_a_logistic_regression_are_zeros_and_ones(function: Callable[..., Tensor]) -> None:
    inputs, weights = torch.randn(3, 2, generator=generator("labels")), torch.ones(2)
    labels = torch.tensor([0.0, 1.0, 1.0])
    assert torch.equal(function(inputs, labels.bool(), weights), function(inputs, labels, weights))
    for wrong in (2 * labels - 1, labels / 2, math.nan * labels):
        with pytest.raises(ProblemError, match="zeros and ones"):
            function(inputs, wrong, weights)


def test_draws_fit_the_search_distribution() -> None:
    search, draws = Search(torch.zeros(2), torch.eye(2)), torch.ones(3, 2)
    calls: list[Callable[[Search, Tensor, Tensor], Any]] = [
        search_gradient, natural_search_gradient, xnes_step, partial(vanilla_step, mean_length=1.0, root_length=1.0)
    ]  # fmt: skip
    for call in calls:
        for wrong in (draws[:, :1], draws[:0]):
            with pytest.raises(ProblemError, match="do not fit"):
                call(search, wrong, torch.ones(len(wrong)))
        with pytest.raises(ProblemError, match="does not fit"):
            call(Search(search.mean, search.root[:1]), draws, torch.ones(3))
    for call in (calls[0], calls[3]):
        with pytest.raises(ProblemError, match="singular"):
            call(Search(search.mean, 0 * search.root), draws, torch.ones(3))
    with pytest.raises(ProblemError, match="floating point"):
        utilities(torch.tensor([2, 1]))


def test_a_search_needs_a_generator_of_its_own() -> None:
    search, state = Search(torch.zeros(2), torch.eye(2)), torch.get_rng_state()
    with pytest.raises(ProblemError, match="Generator"):
        minimise(lambda x: x.sum(-1), search, 1, 4, None)  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="iterations"):
        minimise(lambda x: x.sum(-1), search, -1, 4, generator("search"))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_quadrature_without_finite_weights_is_refused() -> None:
    with pytest.raises(ProblemError, match="400 nodes"):
        gauss_hermite(400, torch.ones(1))
    with pytest.raises(ProblemError, match="floating-point"):
        gauss_hermite(3, torch.ones(1, dtype=torch.long))
    with pytest.raises(ProblemError, match="do not fit"):
        gaussian_cubature(torch.zeros(2), torch.ones(1, 2), 3)


def test_what_does_not_depend_on_the_parameters_has_derivative_and_fisher_zero() -> None:
    point = torch.tensor([1.0, 2.0])
    assert torch.equal(coordinate_derivatives(lambda x: torch.ones(3), point), torch.zeros(3, 2))
    found = fisher_information(lambda x: Normal(0.0, 1.0), point, "sampling", draws=5, generator=generator("constant"))
    assert torch.equal(found, torch.zeros(2, 2))


def test_the_prior_of_variational_inference_is_a_matrix() -> None:
    inputs, labels, eye = torch.randn(4, 2, generator=generator("prior")), torch.tensor([0.0, 1.0, 1.0, 0.0]), torch.eye(2)
    posterior = Posterior(torch.zeros(2), eye)
    for prior in (torch.ones(2), torch.ones(()), torch.eye(3)):
        for call in (
            lambda prior: linear_regression_expectations(inputs, labels, 1.0, prior),
            lambda prior: logistic_regression_expectations(inputs, labels, prior),
            lambda prior: logistic_regression_bound(posterior, inputs, labels, prior),
        ):
            with pytest.raises(ProblemError, match="prior precision must be"):
                call(prior)
    with pytest.raises(ProblemError, match="not positive definite"):
        logistic_regression_bound(posterior, inputs, labels, -eye)
    for wrong, message in ((labels[:, None], "do not fit"), (labels[:1], "do not fit"), (2 * labels - 1, "zeros and ones")):
        with pytest.raises(ProblemError, match=message):
            logistic_regression_expectations(inputs, wrong, eye)
        with pytest.raises(ProblemError, match=message):
            logistic_regression_bound(posterior, inputs, wrong, eye)
    with pytest.raises(ProblemError, match="do not fit"):
        linear_regression_expectations(inputs, labels[:, None], 1.0, eye)
