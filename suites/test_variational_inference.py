"""Natural-gradient variational inference: the conjugate case in one step, the optimum elsewhere, and coordinate ascent."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Gamma, MultivariateNormal, Normal, kl_divergence
from torch.func import grad, jacrev, vmap
from torch.nn import functional

from fishergauge.reference import ProblemError
from fishergauge.reference.families import (
    Posterior,
    fisher_information,
    gauss_hermite,
    gaussian_cubature,
    gaussian_fisher,
    gaussian_from_coordinates,
    gaussian_to_coordinates,
    linear_regression_expectations,
    logistic_regression_bound,
    logistic_regression_expectations,
    natural_gradient_vi_step,
)
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.seeding import generator

SAMPLES, WIDTH = 12, 2
VARIANCE = 0.4
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def _data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, real targets, and the precision of the prior."""
    draws = generator("variational inference")
    inputs = torch.randn(SAMPLES, WIDTH, generator=draws, dtype=torch.float64)
    targets = inputs @ torch.tensor([1.0, -0.5], dtype=torch.float64)
    targets = targets + 0.6 * torch.randn(SAMPLES, generator=draws, dtype=torch.float64)
    prior = torch.tensor([[1.0, 0.3], [0.3, 2.0]], dtype=torch.float64)
    return inputs.to(dtype), targets.to(dtype), prior.to(dtype)


def _labels(targets: Tensor) -> Tensor:
    return (targets > 0).to(targets.dtype)


def _start(dtype: torch.dtype = torch.float64) -> Posterior:
    return Posterior(torch.tensor([2.0, 1.0], dtype=dtype), torch.tensor([[3.0, -1.0], [-1.0, 2.0]], dtype=dtype))


def _exact(inputs: Tensor, targets: Tensor, prior: Tensor) -> Posterior:
    """Conjugate Bayes, by conditioning the joint normal distribution of weights and targets."""
    covariance = torch.linalg.inv(prior)
    cross = covariance @ inputs.T
    gain = cross @ torch.linalg.inv(inputs @ cross + VARIANCE * torch.eye(SAMPLES, dtype=inputs.dtype))
    return Posterior(gain @ targets, torch.linalg.inv(covariance - gain @ cross.T))


@both_dtypes
def test_the_conjugate_case_is_exact_after_one_step_from_anywhere(dtype: torch.dtype) -> None:
    inputs, targets, prior = _data(dtype)
    exact = _exact(inputs.double(), targets.double(), prior.double())
    expectations = linear_regression_expectations(inputs, targets, VARIANCE, prior)
    condition = 10 * float(torch.linalg.cond(exact.precision)) * float(torch.linalg.cond(prior.double()))
    for start in (_start(dtype), Posterior(0 * prior[0], 100 * prior)):
        found = natural_gradient_vi_step(start, expectations, 1.0)
        assert_close(found.mean, exact.mean, "mean", condition=condition)
        assert_close(found.precision, exact.precision, "precision", condition=condition, size=SAMPLES)
        assert_close(found.covariance, torch.linalg.inv(exact.precision), "covariance", condition=condition, size=SAMPLES)
        with pytest.raises(ClaimViolated, match="half a step"):
            assert_close(
                natural_gradient_vi_step(start, expectations, 0.5).mean, exact.mean, "half a step", condition=condition
            )
    without_prior = linear_regression_expectations(inputs, targets, VARIANCE, 0 * prior)
    assert_apart(natural_gradient_vi_step(_start(dtype), without_prior, 1.0).mean, exact.mean, "without the prior", least=0.01)


def test_shorter_steps_approach_geometrically_in_natural_parameters() -> None:
    inputs, targets, prior = _data()
    exact = _exact(inputs, targets, prior)
    posterior = _start()
    expectations = linear_regression_expectations(inputs, targets, VARIANCE, prior)
    goal, first = _natural(exact), _natural(posterior)
    for step in range(1, 6):
        posterior = natural_gradient_vi_step(posterior, expectations, 0.25)
        remaining = _natural(posterior) - goal
        assert_close(remaining, 0.75**step * (first - goal), f"after {step} steps", condition=100)
    with pytest.raises(ClaimViolated):
        assert_close(remaining, 0.75**4 * (first - goal), "a step too few", condition=100)


def _natural(posterior: Posterior) -> Tensor:
    return gaussian_to_coordinates(posterior.mean, posterior.covariance, "natural")


def _bound(eta: Tensor, inputs: Tensor, labels: Tensor, prior: Tensor) -> Tensor:
    mean, covariance = gaussian_from_coordinates(eta, "natural")
    return logistic_regression_bound(Posterior(mean, torch.linalg.inv(covariance)), inputs, labels, prior)


@pytest.mark.parametrize("rho", [0.1, 0.7])
def test_the_step_is_natural_gradient_ascent_on_the_bound(rho: float) -> None:
    inputs, targets, prior = _data()
    labels, start = _labels(targets), _start()
    eta = _natural(start)
    slope = grad(_bound)(eta, inputs, labels, prior)
    fisher = gaussian_fisher(start.mean, start.covariance, "natural")
    direction = torch.linalg.solve(fisher, slope)
    following = natural_gradient_vi_step(start, logistic_regression_expectations(inputs, labels, prior), rho)
    condition = 10 * float(torch.linalg.cond(fisher))
    change = _natural(following) - eta
    assert_close(change, rho * direction, "rho F^-1 grad ELBO", condition=condition)
    with pytest.raises(ClaimViolated, match="plain"):
        assert_close(change, rho * slope, "the plain gradient", condition=condition)

    def in_mean(m: Tensor) -> Tensor:
        mean, covariance = gaussian_from_coordinates(m, "expectation")
        return logistic_regression_bound(Posterior(mean, torch.linalg.inv(covariance)), inputs, labels, prior)

    dual = grad(in_mean)(gaussian_to_coordinates(start.mean, start.covariance, "expectation"))
    assert_close(change, rho * dual, "rho times the gradient in the mean parameters", condition=condition)


@pytest.mark.parametrize("rho", [0.3, 1.0])
def test_the_step_in_mean_and_precision_is_that_of_the_learning_rule(rho: float) -> None:
    """Khan and Rue 2023: S moves first, and preconditions the step of the mean."""
    inputs, targets, prior = _data()
    start, labels = _start(), _labels(targets)
    expectations = logistic_regression_expectations(inputs, labels, prior)
    following = natural_gradient_vi_step(start, expectations, rho)
    slope, curvature = expectations(start)
    precision = (1 - rho) * start.precision + rho * curvature
    assert_close(following.precision, precision, "S")
    mean = start.mean - rho * torch.linalg.solve(precision, slope)
    assert_close(following.mean, mean, "mu, with the new S", condition=100)
    assert_apart(following.mean, start.mean - rho * torch.linalg.solve(start.precision, slope), "with the old S", least=0.01)


def test_the_bound_and_the_expectations_are_right_by_integration_in_the_plane() -> None:
    inputs, targets, prior = _data()
    posterior, labels = _start(), _labels(targets)
    root = torch.linalg.cholesky(posterior.covariance)
    points, weights = gaussian_cubature(posterior.mean, root, 100)

    def log_likelihood(theta: Tensor) -> Tensor:
        logits = theta @ inputs.T
        return (labels * logits - functional.softplus(logits)).sum(-1)

    q, p = (
        MultivariateNormal(posterior.mean, posterior.covariance),
        MultivariateNormal(0 * posterior.mean, precision_matrix=prior),
    )
    expected = weights @ log_likelihood(points) - kl_divergence(q, p)
    # the error, exp(-2 pi sqrt(K) / sd) with deviations up to 2 here, is below rounding at 128 nodes and above it at 32
    bound = logistic_regression_bound(posterior, inputs, labels, prior, 128)
    assert_close(bound, expected, "evidence lower bound", condition=100)
    with pytest.raises(ClaimViolated, match="fewer nodes"):
        assert_close(logistic_regression_bound(posterior, inputs, labels, prior, 32), bound, "with fewer nodes", condition=100)
    assert_apart(logistic_regression_bound(posterior, inputs, 1 - labels, prior), bound, "swapped labels", least=0.01)

    def log_joint(theta: Tensor) -> Tensor:
        return log_likelihood(theta) - ((theta @ prior) * theta).sum(-1) / 2

    def slope_of(theta: Tensor) -> Tensor:
        gradient: Tensor = grad(log_joint)(theta)
        return -gradient

    slopes, hessians = vmap(slope_of)(points), vmap(jacrev(slope_of))(points)
    slope, curvature = logistic_regression_expectations(inputs, labels, prior, 128)(posterior)
    assert_close(slope, weights @ slopes, "mean gradient", condition=100)
    mean_hessian = torch.einsum("k,kij->ij", weights, hessians)
    assert_close(curvature, mean_hessian, "mean Hessian", condition=100)
    assert_apart(curvature, mean_hessian - prior, "without the prior", least=0.01)


def test_in_a_logistic_model_it_converges_to_the_optimum_of_the_bound() -> None:
    inputs, targets, prior = _data()
    labels = _labels(targets)
    expectations = logistic_regression_expectations(inputs, labels, prior)
    posterior, bounds = _start(), []
    for _ in range(60):
        bounds.append(float(logistic_regression_bound(posterior, inputs, labels, prior)))
        posterior = natural_gradient_vi_step(posterior, expectations, 0.7)
    slope = grad(_bound)(_natural(posterior), inputs, labels, prior)
    before = grad(_bound)(_natural(_start()), inputs, labels, prior)
    assert_close(slope, 0 * slope, "gradient of the bound", scale=float(before.norm()), condition=100)
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(bounds)), "it rises all the way"
    assert bounds[-1] > bounds[0] + 0.1
    laplace = _laplace(inputs, labels, prior)
    assert_apart(laplace.mean, posterior.mean, "the mode is another point", least=1e-3)
    at_laplace = grad(_bound)(_natural(laplace), inputs, labels, prior)
    with pytest.raises(ClaimViolated, match="Laplace"):
        assert_close(at_laplace, 0 * slope, "gradient at Laplace's approximation", scale=float(before.norm()), condition=100)
    assert float(logistic_regression_bound(laplace, inputs, labels, prior)) < bounds[-1]


def test_plain_gradient_ascent_is_not_there_after_twice_as_many_steps() -> None:
    inputs, targets, prior = _data()
    labels = _labels(targets)
    best = _start()
    for _ in range(60):
        best = natural_gradient_vi_step(best, logistic_regression_expectations(inputs, labels, prior), 0.7)
    optimum = float(logistic_regression_bound(best, inputs, labels, prior))

    def bound(vector: Tensor) -> Tensor:
        mean, covariance = gaussian_from_coordinates(vector, "cholesky")
        return logistic_regression_bound(Posterior(mean, torch.linalg.inv(covariance)), inputs, labels, prior)

    def plain(length: float, steps: int) -> float:
        """How much of the bound is missing in the end."""
        vector = gaussian_to_coordinates(_start().mean, _start().covariance, "cholesky")
        for _ in range(steps):
            vector = vector + length * grad(bound)(vector)
        missing = optimum - float(bound(vector))
        return missing if math.isfinite(missing) else math.inf

    steps, posterior = 0, _start()
    while optimum - float(logistic_regression_bound(posterior, inputs, labels, prior)) > 1e-6:
        posterior = natural_gradient_vi_step(posterior, logistic_regression_expectations(inputs, labels, prior), 1.0)
        steps += 1
    assert steps <= 10
    missing = [plain(length, 2 * steps) for length in (0.02, 0.05, 0.1, 0.2, 0.4)]
    assert min(missing) > 1e-6
    assert missing.index(min(missing)) not in (0, 4), "the best length lies inside the grid"


def _laplace(inputs: Tensor, labels: Tensor, prior: Tensor) -> Posterior:
    mean = torch.zeros(WIDTH, dtype=inputs.dtype)
    for _ in range(30):
        p = (inputs @ mean).sigmoid()
        precision = inputs.T @ ((p * (1 - p))[:, None] * inputs) + prior
        mean = mean - torch.linalg.solve(precision, inputs.T @ (p - labels) + prior @ mean)
    return Posterior(mean, precision)


# One unknown mean and precision: x_n ~ N(m, 1 / t), m ~ N(m0, 1 / (k0 t)), t ~ Gamma(a0, b0); q(m) q(t).
VALUES = torch.tensor([0.3, 1.8, -0.4, 2.2, 0.9], dtype=torch.float64)
M0, K0, A0, B0 = 0.5, 0.8, 1.5, 2.0


def _two_block_bound(of_mean: Tensor, of_precision: Tensor) -> Tensor:
    """The evidence lower bound, of natural parameters (S mu, -S / 2) and (a - 1, -b), up to a constant."""
    variance = -0.5 / of_mean[1]
    centre = variance * of_mean[0]
    a, b = of_precision[0] + 1, -of_precision[1]
    mean_log, mean = torch.digamma(a) - b.log(), a / b
    squares = (VALUES - centre).square().sum() + len(VALUES) * variance + K0 * ((centre - M0) ** 2 + variance)
    joint = (len(VALUES) + 1) / 2 * mean_log - mean * squares / 2 + (A0 - 1) * mean_log - B0 * mean
    of_gamma: Tensor = Gamma(a, b).entropy()  # type: ignore[no-untyped-call]
    return joint + _normal(of_mean).entropy() + of_gamma


def _normal(eta: Tensor) -> Distribution:
    variance = -0.5 / eta[1]
    return Normal(variance * eta[0], variance.sqrt())


def _coordinate_ascent(of_mean: Tensor, of_precision: Tensor) -> tuple[Tensor, Tensor]:
    """The optimum of each block with the other one held, in closed form."""
    count = len(VALUES)
    precision = (K0 + count) * (of_precision[0] + 1) / -of_precision[1]
    centre = (K0 * M0 + VALUES.sum()) / (K0 + count)
    variance = -0.5 / of_mean[1]
    mean = variance * of_mean[0]
    squares = (VALUES - mean).square().sum() + count * variance + K0 * ((mean - M0) ** 2 + variance)
    return (
        torch.stack([precision * centre, -precision / 2]),
        torch.stack([torch.as_tensor(A0 + (count + 1) / 2 - 1, dtype=torch.float64), -(B0 + squares / 2)]),
    )


def test_in_a_conjugate_model_the_unit_step_of_a_block_is_coordinate_ascent() -> None:
    of_mean = torch.tensor([1.0, -0.7], dtype=torch.float64)
    of_precision = torch.tensor([1.2, -1.9], dtype=torch.float64)

    slopes = grad(_two_block_bound, (0, 1))(of_mean, of_precision)
    fishers = (
        fisher_information(_normal, of_mean, "log-normaliser"),
        fisher_information(lambda eta: Gamma(eta[0] + 1, -eta[1]), of_precision, "log-normaliser"),
    )
    optima = _coordinate_ascent(of_mean, of_precision)
    for name, start, slope, fisher, optimum in zip(
        ("mean", "precision"), (of_mean, of_precision), slopes, fishers, optima, strict=True
    ):
        condition = float(torch.linalg.cond(fisher)) * 10
        step = start + torch.linalg.solve(fisher, slope)
        assert_close(step, optimum, f"block of the {name}", condition=condition)
        with pytest.raises(ClaimViolated, match="plain"):
            assert_close(start + slope, optimum, "the plain gradient", condition=condition)
        with pytest.raises(ClaimViolated, match="half"):
            assert_close(start + 0.5 * (step - start), optimum, "half a step", condition=condition)
    raised = _two_block_bound(optima[0], of_precision)
    stationary = grad(_two_block_bound, 0)(optima[0], of_precision)
    assert_close(stationary, 0 * stationary, "the optimum of the block", scale=float(slopes[0].norm()), condition=100)
    assert float(raised) > float(_two_block_bound(of_mean, of_precision))


def test_the_quadrature_is_exact_up_to_its_degree_and_no_further() -> None:
    points, weights = gauss_hermite(3, VALUES)
    moments = [float(weights @ points**degree) for degree in range(7)]
    assert moments[:6] == pytest.approx([1, 0, 1, 0, 3, 0], abs=1e-13)
    assert abs(moments[6] - 15) > 1


def test_what_makes_no_sense_is_refused() -> None:
    inputs, targets, prior = _data()
    expectations = linear_regression_expectations(inputs, targets, VARIANCE, prior)
    for rho in (0.0, 1.5, math.nan):
        with pytest.raises(ProblemError, match="rho lies above 0"):
            natural_gradient_vi_step(_start(), expectations, rho)
    with pytest.raises(ProblemError, match="variance must be positive"):
        linear_regression_expectations(inputs, targets, 0.0, prior)
    with pytest.raises(ProblemError, match="not concave"):
        natural_gradient_vi_step(_start(), lambda q: (q.mean, -prior), 1.0)
