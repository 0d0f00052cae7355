"""Exponential families with both their potentials: the log-partition and its conjugate."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Exponential, MultivariateNormal, Poisson
from torch.func import grad, jacrev
from torch.nn import functional

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.families.multivariate_gaussian import gaussian_from_coordinates, gaussian_to_coordinates
from fishergauge.reference.families.symmetric import lower_triangular, vech

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ExponentialFamily:
    r"""A minimal family :math:`p(x; \eta) = h(x) \exp(\eta' t(x) - A(\eta))` and its dual coordinates.

    .. math:: m = \nabla A(\eta) = E \, t(x), \quad \eta = \nabla A^*(m), \quad
        F_\eta = \nabla^2 A(\eta), \quad F_m = \nabla^2 A^*(m) = F_\eta^{-1}

    The conjugate is :math:`A^*(m) = -H - E \log h(x)` with the entropy H: the negative entropy only where h is one.

    Args:
        name: of the family.
        log_partition: A, from ``(P,)`` to a scalar; NaN or infinite outside the domain.
        conjugate: A*, likewise.
        dual: the inverse of the gradient of A, from m to eta.
        statistic: t, from values ``(S, ...)`` to ``(S, P)``.
        distribution: the torch distribution with natural parameters eta.

    Example:
        >>> BERNOULLI.mean(torch.zeros(1)), BERNOULLI.fisher(torch.zeros(1))
        (tensor([0.5000]), tensor([[0.2500]]))

    Reference:
        Wainwright and Jordan, "Graphical models, exponential families, and variational inference" (2008), ch. 3;
        Amari, "Information geometry and its applications" (2016), sec. 2.1.
    """

    name: str
    log_partition: Map
    conjugate: Map
    dual: Map
    statistic: Map
    distribution: Callable[[Tensor], Distribution]

    def mean(self, natural: Tensor) -> Tensor:
        """The mean parameters m, ``(P,)``, from the natural ones.

        Raises:
            ProblemError: they lie outside the domain.
        """
        self.require_domain(natural, "natural")
        gradient: Tensor = grad(self.log_partition)(natural)
        return gradient

    def natural(self, mean: Tensor) -> Tensor:
        """The natural parameters eta, ``(P,)``, from the mean ones.

        Raises:
            ProblemError: they lie outside the domain.
        """
        self.require_domain(mean, "mean")
        return self.dual(mean)

    def fisher(self, natural: Tensor) -> Tensor:
        """The Fisher in natural parameters, ``(P, P)``: the Hessian of A."""
        matrix: Tensor = jacrev(self.mean)(natural)
        return matrix

    def mean_fisher(self, mean: Tensor) -> Tensor:
        """The Fisher in mean parameters, ``(P, P)``: the Hessian of A*."""
        self.require_domain(mean, "mean")
        matrix: Tensor = jacrev(grad(self.conjugate))(mean)
        return matrix

    def require_domain(self, point: Tensor, coordinates: str) -> None:
        """Refuse a point outside the domain of the ``"natural"`` or ``"mean"`` parameters.

        Raises:
            ProblemError: the potential is not finite there.
        """
        potential = self.log_partition if coordinates == "natural" else self.conjugate
        if not bool(point.isfinite().all() & potential(point).isfinite()):
            raise ProblemError(f"a point lies outside the domain of the {coordinates} parameters of the {self.name} family")


def _sum_of(function: Map) -> Map:
    return lambda values: function(values).sum()


def _column(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1)


BERNOULLI = ExponentialFamily(
    "Bernoulli",
    log_partition=_sum_of(functional.softplus),
    conjugate=_sum_of(lambda m: torch.special.xlogy(m, m) + torch.special.xlogy(1 - m, 1 - m)),
    dual=lambda m: m.log() - (-m).log1p(),
    statistic=_column,
    distribution=lambda eta: Bernoulli(logits=eta[0]),
)

POISSON = ExponentialFamily(
    "Poisson",
    log_partition=_sum_of(torch.exp),
    conjugate=_sum_of(lambda m: torch.special.xlogy(m, m) - m),
    dual=torch.log,
    statistic=_column,
    distribution=lambda eta: Poisson(eta[0].exp()),
)

EXPONENTIAL = ExponentialFamily(
    "exponential",
    log_partition=_sum_of(lambda eta: -(-eta).log()),
    conjugate=_sum_of(lambda m: -1 - m.log()),
    dual=lambda m: -1 / m,
    statistic=_column,
    distribution=lambda eta: Exponential(-eta[0]),
)


def categorical(classes: int) -> ExponentialFamily:
    """The categorical family with the last class as reference, so that P is the number of classes less one.

    Args:
        classes: at least two.

    Returns:
        eta_c = log(p_c / p_last), m_c = p_c.

    Raises:
        ProblemError: there are fewer than two classes.

    Example:
        >>> categorical(2).mean(torch.zeros(1))
        tensor([0.5000])
    """
    if classes < 2:
        raise ProblemError(f"a categorical family needs at least two classes, not {classes}")

    def logits(eta: Tensor) -> Tensor:
        return torch.cat([eta, eta.new_zeros(1)])

    def probabilities(m: Tensor) -> Tensor:
        return torch.cat([m, 1 - m.sum().reshape(1)])

    return ExponentialFamily(
        f"categorical, {classes} classes",
        log_partition=lambda eta: logits(eta).logsumexp(0),
        conjugate=lambda m: torch.special.xlogy(probabilities(m), probabilities(m)).sum(),
        dual=lambda m: m.log() - (1 - m.sum()).log(),
        statistic=lambda values: functional.one_hot(values.long(), classes)[:, :-1],
        distribution=lambda eta: Categorical(logits=logits(eta)),
    )


def gaussian(dimension: int) -> ExponentialFamily:
    r"""The normal family with unknown mean and covariance, :math:`t(x) = (x, \mathrm{vech}(x x'))`.

    .. math:: A = \tfrac{1}{2} \mu' \Lambda \mu - \tfrac{1}{2} \log |\Lambda|, \quad A^* = -\tfrac{1}{2} \log |e \Sigma|

    The constant :math:`h = (2 \pi)^{-D/2}` is left out of A, so that A* is the negative entropy plus a constant.

    Args:
        dimension: D.

    Returns:
        With the ``natural`` and ``expectation`` coordinates of :mod:`~fishergauge.reference.families.multivariate_gaussian`.

    Raises:
        ProblemError: D is not positive.

    Example:
        >>> gaussian(1).mean(torch.tensor([0.25, -0.125]))
        tensor([1., 5.])
    """
    if dimension < 1:
        raise ProblemError(f"the dimension must be positive, got {dimension}")

    def log_partition(eta: Tensor) -> Tensor:
        first, coefficients = eta[:dimension], lower_triangular(eta[dimension:])
        precision = -(coefficients + coefficients.mT)
        centre: Tensor = torch.linalg.solve(precision, first)
        return first @ centre / 2 - _log_determinant(precision) / 2

    def conjugate(m: Tensor) -> Tensor:
        _, covariance = gaussian_from_coordinates(m, "expectation")
        return -_log_determinant(covariance) / 2 - dimension / 2

    def distribution(eta: Tensor) -> Distribution:
        mean, covariance = gaussian_from_coordinates(eta, "natural")
        return MultivariateNormal(mean, covariance)

    return ExponentialFamily(
        f"normal in {dimension} dimensions",
        log_partition=log_partition,
        conjugate=conjugate,
        dual=lambda m: gaussian_to_coordinates(*gaussian_from_coordinates(m, "expectation"), "natural"),
        statistic=lambda x: torch.cat([x, vech(x[:, :, None] * x[:, None, :])], 1),
        distribution=distribution,
    )


def _log_determinant(matrix: Tensor) -> Tensor:
    """Of a positive definite matrix; NaN if it is none, so that the potentials end at the border of their domain."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    value = 2 * factor.diagonal().log().sum()
    return torch.where(failed == 0, value, math.nan)
