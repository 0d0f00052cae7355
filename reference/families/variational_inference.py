"""Variational inference with a normal distribution, by natural gradients in its natural parameters."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.families.linear_regression import check_regression
from fishergauge.reference.families.logistic_regression import binary_labels
from fishergauge.reference.families.quadrature import gauss_hermite

Expectations = Callable[["Posterior"], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Posterior:
    r"""The approximate posterior :math:`q = N(\mu, S^{-1})`.

    Args:
        mean: mu, ``(D,)``.
        precision: S, ``(D, D)``, positive definite.
    """

    mean: Tensor
    precision: Tensor

    @property
    def covariance(self) -> Tensor:
        """The inverse of S."""
        inverse: Tensor = torch.linalg.inv(self.precision)
        return (inverse + inverse.mT) / 2


def natural_gradient_vi_step(posterior: Posterior, expectations: Expectations, rho: float) -> Posterior:
    r"""A step in the natural parameters, with gradients in the mean parameters.

    .. math:: \lambda \leftarrow (1 - \rho) \lambda - \rho \nabla_m E_q \ell(\theta), \quad
        \lambda = (S \mu, -\tfrac{1}{2} S), \quad m = (\mu, E_q \theta \theta')

    with the negative log-joint :math:`\ell = -\log p(y, \theta)`. By the theorems of Bonnet and Price the two gradients are
    :math:`E_q \nabla \ell - E_q[\nabla^2 \ell] \mu` and :math:`\frac{1}{2} E_q \nabla^2 \ell`. The step is natural gradient
    ascent on the evidence lower bound, of length rho.

    Args:
        posterior: q.
        expectations: from q to :math:`E_q \nabla \ell`, ``(D,)``, and :math:`E_q \nabla^2 \ell`, ``(D, D)``.
        rho: between 0 and 1; 1 gives the exact posterior at once where the log-joint is quadratic.

    Returns:
        The next q.

    Raises:
        ProblemError: rho is not in the interval, or the next precision is not positive definite (possible only where the
            log-joint is not concave).

    Example:
        >>> prior = Posterior(torch.zeros(1), torch.eye(1))
        >>> natural_gradient_vi_step(prior, lambda q: (4 * q.mean - 2, torch.tensor([[4.0]])), rho=1.0)
        Posterior(mean=tensor([0.5000]), precision=tensor([[4.]]))

    Reference:
        Khan and Lin, "Conjugate-computation variational inference", AISTATS 2017; Khan and Rue, "The Bayesian
        learning rule", JMLR 24 (2023); Zhang et al., "Noisy natural gradient as variational inference",
        ICML 2018, sec. 3.
    """
    if not 0 < rho <= 1:
        raise ProblemError(f"rho lies above 0 and up to 1, got {rho}")
    slope, curvature = expectations(posterior)
    first = (1 - rho) * (posterior.precision @ posterior.mean) - rho * (slope - curvature @ posterior.mean)
    second = (1 - rho) * (-posterior.precision / 2) - rho * curvature / 2
    precision = -(second + second.mT)
    factor, failed = torch.linalg.cholesky_ex(precision)
    if int(failed):
        raise ProblemError("the step leaves the positive definite precisions: the log-joint is not concave here; shorten it")
    return Posterior(torch.cholesky_solve(first[:, None], factor)[:, 0], precision)


def linear_regression_expectations(inputs: Tensor, targets: Tensor, variance: float, prior_precision: Tensor) -> Expectations:
    r"""Expectations for :math:`y = X \theta + e`, with the prior :math:`N(0, P^{-1})`; exact.

    .. math:: E_q \nabla \ell = X'(X \mu - y) / \sigma^2 + P \mu, \quad E_q \nabla^2 \ell = X'X / \sigma^2 + P

    Args:
        inputs: X, ``(n, D)``.
        targets: y, ``(n,)``.
        variance: sigma^2, positive.
        prior_precision: P, ``(D, D)``; zero for none.

    Returns:
        For :func:`natural_gradient_vi_step`.

    Raises:
        ProblemError: shapes do not fit, or the variance is not positive.

    Example:
        >>> expected = linear_regression_expectations(torch.ones(2, 1), torch.ones(2), 1.0, torch.eye(1))
        >>> natural_gradient_vi_step(Posterior(torch.zeros(1), torch.eye(1)), expected, 1.0).precision
        tensor([[3.]])

    Reference:
        Bishop, "Pattern recognition and machine learning" (2006), eqs. 3.50 and 3.51: the posterior after one step.
    """
    if not variance > 0:
        raise ProblemError(f"the variance must be positive, got {variance}")
    check_regression(inputs, targets, inputs[0])
    _check_prior(inputs, prior_precision)
    curvature = inputs.mT @ inputs / variance + prior_precision
    right = inputs.mT @ targets / variance
    return lambda posterior: (curvature @ posterior.mean - right, curvature)


def logistic_regression_expectations(inputs: Tensor, targets: Tensor, prior_precision: Tensor, nodes: int = 64) -> Expectations:
    r"""Expectations for logistic regression with the prior :math:`N(0, P^{-1})`, by one-dimensional quadrature a sample.

    .. math:: E_q \nabla \ell = X' (E \, s(f) - y) + P \mu, \quad E_q \nabla^2 \ell = X' \mathrm{diag}(E \, s'(f)) X + P,
        \quad f_i \sim N(x_i' \mu, x_i' S^{-1} x_i)

    With K nodes the relative error is about :math:`\exp(-2 \pi \sqrt{K} / s)` for the largest standard deviation s of the f_i.

    Args:
        inputs: X, ``(n, D)``.
        targets: y, ``(n,)``, zeros and ones.
        prior_precision: P, ``(D, D)``.
        nodes: K, of the quadrature.

    Returns:
        For :func:`natural_gradient_vi_step`.

    Raises:
        ProblemError: shapes do not fit, or a target is neither zero nor one.

    Example:
        >>> expected = logistic_regression_expectations(torch.ones(1, 1), torch.ones(1), torch.eye(1))
        >>> expected(Posterior(torch.zeros(1), torch.eye(1)))[0]
        tensor([-0.5000])

    Reference:
        Khan and Rue, JMLR 24 (2023).
    """
    labels = binary_labels(inputs, targets, inputs[0])
    _check_prior(inputs, prior_precision)

    def expectations(posterior: Posterior) -> tuple[Tensor, Tensor]:
        values, weights = _function_values(posterior, inputs, nodes)
        slopes = values.sigmoid() @ weights - labels
        curvatures = (values.sigmoid() * (-values).sigmoid()) @ weights
        return (
            inputs.mT @ slopes + prior_precision @ posterior.mean,
            inputs.mT @ (curvatures[:, None] * inputs) + prior_precision,
        )

    return expectations


def logistic_regression_bound(
    posterior: Posterior, inputs: Tensor, targets: Tensor, prior_precision: Tensor, nodes: int = 64
) -> Tensor:
    r"""The evidence lower bound of logistic regression, differentiable in q.

    .. math:: E_q \log p(y | X, \theta) - KL(q \| N(0, P^{-1}))

    Args:
        posterior: q.
        inputs: X, ``(n, D)``.
        targets: y, ``(n,)``.
        prior_precision: P, ``(D, D)``.
        nodes: K, of the quadrature.

    Returns:
        A scalar.

    Raises:
        ProblemError: as :func:`logistic_regression_expectations`, or the prior precision is not positive definite.

    Example:
        >>> prior = Posterior(torch.zeros(1), torch.eye(1))
        >>> round(float(logistic_regression_bound(prior, torch.zeros(1, 1), torch.ones(1), torch.eye(1))), 4)
        -0.6931
    """
    labels = binary_labels(inputs, targets, posterior.mean)
    _check_prior(inputs, prior_precision)
    values, weights = _function_values(posterior, inputs, nodes)
    likelihood = ((labels[:, None] * values - functional.softplus(values)) @ weights).sum()
    return likelihood - _divergence_from_prior(posterior, prior_precision)


def _check_prior(inputs: Tensor, precision: Tensor) -> None:
    """Refuse what is no precision of the weights: a number or a vector would broadcast."""
    size = inputs.shape[1]
    if precision.shape != (size, size):
        raise ProblemError(f"the prior precision must be ({size}, {size}), got {tuple(precision.shape)}")


def _divergence_from_prior(posterior: Posterior, prior_precision: Tensor) -> Tensor:
    """KL(N(mu, S^-1), N(0, P^-1))."""
    if int(torch.linalg.cholesky_ex(prior_precision).info):
        raise ProblemError("the prior precision is not positive definite: no divergence from it is finite")
    trace: Tensor = (prior_precision * torch.linalg.inv(posterior.precision)).sum()
    determinants: Tensor = torch.linalg.slogdet(posterior.precision).logabsdet - torch.linalg.slogdet(prior_precision).logabsdet
    return (trace + posterior.mean @ prior_precision @ posterior.mean - len(posterior.mean) + determinants) / 2


def _function_values(posterior: Posterior, inputs: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Quadrature nodes of f_i = x_i' theta under q, ``(n, K)``, and their weights, ``(K,)``."""
    points, weights = gauss_hermite(nodes, inputs)
    variances = (inputs @ torch.linalg.inv(posterior.precision) * inputs).sum(-1)
    return (inputs @ posterior.mean)[:, None] + variances.clamp(min=0).sqrt()[:, None] * points, weights
