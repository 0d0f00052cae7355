"""Closed forms of linear and logistic regression: against the general Fisher, divergences, enumeration and other scales."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Normal
from torch.func import grad, jacrev

from fishergauge.reference import Problem, ProblemError, empirical_fisher, fisher, gradient, newton_step
from fishergauge.reference.families import (
    fisher_information,
    gauss_hermite,
    linear_regression_fisher,
    linear_regression_gradient,
    linear_regression_natural_gradient,
    logistic_regression_empirical_fisher,
    logistic_regression_fisher,
    logistic_regression_gradient,
    logistic_regression_loss,
    score,
)
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close, unit_roundoff
from fishergauge.suites.seeding import generator

SAMPLES, WIDTH = 7, 3
REDUCTIONS = ["mean", "sum"]
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def _data(name: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, weights, and normal targets."""
    draws = generator("families regression", name)
    inputs, weights, targets = (
        torch.randn(*shape, generator=draws, dtype=torch.float64) for shape in ((SAMPLES, WIDTH), (WIDTH,), (SAMPLES,))
    )
    return inputs.to(dtype), weights.to(dtype), targets.to(dtype)


def _problem(loss: nn.Module, inputs: Tensor, weights: Tensor, targets: Tensor) -> Problem:
    model = nn.Linear(WIDTH, 1, bias=False, dtype=inputs.dtype)
    with torch.no_grad():
        model.weight.copy_(weights[None])
    return Problem(model, loss, [(inputs, targets[:, None])])


@every_reduction
@both_dtypes
def test_linear_regression_is_the_general_fisher_of_squared_error_at_variance_one_half(
    reduction: str, dtype: torch.dtype
) -> None:
    inputs, weights, targets = _data("linear", dtype)
    problem = _problem(nn.MSELoss(reduction=reduction), inputs, weights, targets)
    expected = fisher(problem).dense()
    assert_close(linear_regression_fisher(inputs, 0.5, reduction), expected, "Fisher at variance 1/2", size=SAMPLES)
    slope = linear_regression_gradient(inputs, targets, weights, 0.5, reduction)
    scale = float(inputs.norm() * targets.norm())
    assert_close(slope, gradient(problem), "gradient", size=SAMPLES, scale=scale)
    assert_apart(linear_regression_fisher(inputs, 1.0, reduction), expected, "the variance one is another convention")
    assert_apart(linear_regression_gradient(inputs, targets, weights, 1.0, reduction), gradient(problem), "likewise")
    other = REDUCTIONS[1 - REDUCTIONS.index(reduction)]
    assert_apart(linear_regression_fisher(inputs, 0.5, other), expected, "the other reduction")


@every_reduction
def test_weights_and_variance_by_divergence_and_by_the_mean_hessian(reduction: str) -> None:
    inputs, weights, _ = _data("variance")
    variance = 0.7
    parameters = torch.cat([weights, weights.new_tensor([variance])])

    def family(theta: Tensor) -> Normal:
        return Normal(inputs @ theta[:-1], theta[-1].sqrt())

    def log_likelihood(theta: Tensor) -> Tensor:
        residuals = targets - inputs @ theta[:-1]
        return (
            -(residuals.square() / (2 * theta[-1]) + theta[-1].log() / 2)
            @ torch.ones(SAMPLES, dtype=torch.float64)
            @ node_weights
        )

    points, node_weights = gauss_hermite(3, weights)  # the log-likelihood is quadratic in y
    targets = inputs @ weights + math.sqrt(variance) * points[:, None]
    mean_hessian = -jacrev(grad(log_likelihood))(parameters)
    divisor = SAMPLES if reduction == "mean" else 1
    closed = linear_regression_fisher(inputs, variance, reduction, variance_is_a_parameter=True)
    assert_close(closed, fisher_information(family, parameters) / divisor, "curvature of the divergence", size=SAMPLES)
    assert_close(closed, mean_hessian / divisor, "minus the mean Hessian", size=SAMPLES)
    assert_close(closed[:-1, :-1], linear_regression_fisher(inputs, variance, reduction), "block of the weights")
    wrong = closed.clone()
    wrong[-1, -1] *= 4 * variance  # of sigma, not of its square
    with pytest.raises(ClaimViolated, match="curvature"):
        assert_close(wrong, fisher_information(family, parameters) / divisor, "curvature of the divergence", size=SAMPLES)


def test_the_variance_in_other_coordinates() -> None:
    inputs, weights, _ = _data("deviation")
    deviation = 0.6
    closed = linear_regression_fisher(inputs, deviation**2, "mean", variance_is_a_parameter=True)
    jacobian = torch.diag(torch.tensor([1.0] * WIDTH + [2 * deviation], dtype=torch.float64))  # d(sigma^2) / d(sigma)
    parameters = torch.cat([weights, weights.new_tensor([deviation])])
    measured = fisher_information(lambda t: Normal(inputs @ t[:-1], t[-1]), parameters) / SAMPLES
    assert_close(jacobian.T @ closed @ jacobian, measured, "J'FJ with J = d theta / d phi", size=SAMPLES)
    inverse = jacobian.inverse()
    assert_apart(inverse.T @ closed @ inverse, measured, "with the inverse Jacobian it is another matrix")
    assert measured[-1, -1] == pytest.approx(2 / deviation**2)


def test_the_natural_gradient_of_linear_regression_knows_neither_variance_nor_reduction() -> None:
    inputs, weights, targets = _data("step")
    direction = linear_regression_natural_gradient(inputs, targets, weights)
    condition = float(torch.linalg.cond(inputs)) ** 2
    solution = torch.linalg.lstsq(inputs, targets[:, None]).solution[:, 0]
    assert_close(weights - direction, solution, "one step to least squares", condition=condition, size=SAMPLES)
    for reduction, variance in itertools.product(REDUCTIONS, (0.2, 3.0)):
        matrix = linear_regression_fisher(inputs, variance, reduction)
        slope = linear_regression_gradient(inputs, targets, weights, variance, reduction)
        assert_close(-newton_step(matrix, slope), direction, f"{reduction}, {variance}", condition=condition, size=SAMPLES)
    mixed = -newton_step(
        linear_regression_fisher(inputs, 1.0, "mean"), linear_regression_gradient(inputs, targets, weights, 1.0, "sum")
    )
    assert_close(mixed, SAMPLES * direction, "a mean Fisher and a summed gradient: n times", condition=condition)
    with pytest.raises(ClaimViolated, match="as it should"):
        assert_close(mixed, direction, "as it should be", condition=condition)


@every_reduction
@both_dtypes
def test_logistic_regression_is_the_general_fisher_of_binary_cross_entropy(reduction: str, dtype: torch.dtype) -> None:
    inputs, weights, targets = _data("logistic", dtype)
    labels = (targets > 0).to(dtype)
    problem = _problem(nn.BCEWithLogitsLoss(reduction=reduction), inputs, weights, labels)
    closed = logistic_regression_fisher(inputs, weights, reduction)
    empirical = logistic_regression_empirical_fisher(inputs, labels, weights, reduction)
    assert_close(closed, fisher(problem).dense(), "Fisher", size=SAMPLES)
    assert_close(empirical, empirical_fisher(problem).dense(), "empirical Fisher", size=SAMPLES)
    slope = logistic_regression_gradient(inputs, labels, weights, reduction)
    assert_close(slope, gradient(problem), "gradient", size=SAMPLES, scale=float(inputs.norm()))
    loss = logistic_regression_loss(inputs, labels, weights, reduction)
    assert_close(loss, problem.loss(problem.outputs, problem.targets).detach(), "loss", size=SAMPLES)
    assert_apart(empirical, closed, "the empirical Fisher is not the Fisher", least=0.01)
    other = REDUCTIONS[1 - REDUCTIONS.index(reduction)]
    assert_apart(logistic_regression_fisher(inputs, weights, other), closed, "the other reduction")
    assert_apart(logistic_regression_gradient(inputs, 1 - labels, weights, reduction), slope, "swapped labels")


def test_the_empirical_fisher_is_the_fisher_in_the_mean_over_labels_of_the_model() -> None:
    inputs, weights, _ = _data("labels")
    labellings = torch.tensor(list(itertools.product((0.0, 1.0), repeat=SAMPLES)), dtype=torch.float64)
    model: Distribution = Bernoulli(logits=inputs @ weights)
    chances = model.log_prob(labellings).sum(1).exp()
    matrices = torch.stack([logistic_regression_empirical_fisher(inputs, y, weights) for y in labellings])
    mean = torch.einsum("k,kij->ij", chances, matrices)
    closed = logistic_regression_fisher(inputs, weights)
    assert_close(mean, closed, "mean over the 128 labellings", size=len(labellings))
    assert_apart(matrices.mean(0), closed, "with all labellings equally likely", least=0.01)
    by_score = fisher_information(lambda t: Bernoulli(logits=inputs @ t), weights, "enumeration")
    assert_close(by_score / SAMPLES, closed, "by enumeration, sample by sample", size=SAMPLES)
    scores = score(lambda t: Bernoulli(logits=inputs @ t), weights, labellings[:1])
    assert_close(-scores[0].mean(0), logistic_regression_gradient(inputs, labellings[0], weights), "the score", size=SAMPLES)


@both_dtypes
@pytest.mark.parametrize("logit", [40.0, -40.0, 80.0, -80.0])
def test_a_confident_prediction_keeps_its_relative_accuracy(logit: float, dtype: torch.dtype) -> None:
    inputs, weights = torch.ones(1, 1, dtype=dtype), torch.tensor([logit], dtype=dtype)
    exact = math.exp(-abs(logit)) / (1 + math.exp(-abs(logit))) ** 2
    bound = 8 * unit_roundoff(dtype)
    assert float(logistic_regression_fisher(inputs, weights)) == pytest.approx(exact, rel=bound, abs=0)
    correct = torch.tensor([1.0 if logit > 0 else 0.0], dtype=dtype)
    slope = float(logistic_regression_gradient(inputs, correct, weights))
    assert slope == pytest.approx(-math.copysign(exact, logit), rel=bound, abs=0)
    naive = torch.sigmoid(weights)
    assert logit < 0 or float(naive * (1 - naive)) == 0, "the plain formula is wrong there: s (1 - s) is zero"


def test_what_makes_no_sense_is_refused() -> None:
    inputs, weights, targets = _data("refused")
    with pytest.raises(ProblemError, match="variance must be positive, got 0"):
        linear_regression_fisher(inputs, 0.0)
    with pytest.raises(ProblemError, match="variance must be positive"):
        linear_regression_gradient(inputs, targets, weights, math.nan)
    with pytest.raises(ProblemError, match="'mean' or 'sum', not 'none'"):
        logistic_regression_fisher(inputs, weights, "none")
    with pytest.raises(ProblemError, match="n > 0"):
        linear_regression_natural_gradient(inputs[:0], targets[:0], weights)
    with pytest.raises(ProblemError, match="do not fit"):
        logistic_regression_loss(inputs, targets, weights[:2])
