"""Mirror descent, and its equality with natural gradient descent in the dual coordinates."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.families.exponential_family import ExponentialFamily


def bregman_divergence(potential: Callable[[Tensor], Tensor], point: Tensor, base: Tensor) -> Tensor:
    r"""How far a convex function lies above its tangent.

    .. math:: B_\psi(u, v) = \psi(u) - \psi(v) - \nabla \psi(v)'(u - v)

    For an exponential family, with the arguments of the log-partition exchanged and those of its conjugate not:

    .. math:: B_A(\eta', \eta) = KL(p_\eta \| p_{\eta'}), \quad B_{A^*}(m', m) = KL(p_{m'} \| p_m)

    Args:
        potential: psi, from ``(P,)`` to a scalar, convex and differentiable.
        point: u, ``(P,)``.
        base: v, ``(P,)``, where the tangent touches.

    Returns:
        A scalar, not negative.

    Example:
        >>> bregman_divergence(lambda x: x @ x, torch.tensor([3.0]), torch.tensor([1.0]))
        tensor(4.)

    Reference:
        Banerjee et al., "Clustering with Bregman divergences", JMLR 6 (2005), def. 1 and sec. 4.
    """
    slope: Tensor = grad(potential)(base)
    return potential(point) - potential(base) - slope @ (point - base)


def mirror_descent_step(family: ExponentialFamily, point: Tensor, gradient: Tensor, length: float, coordinates: str) -> Tensor:
    r"""A step of mirror descent, :math:`\arg\min_u g'u + \frac{1}{\alpha} B_\psi(u, v)`.

    .. math:: \nabla \psi(u) = \nabla \psi(v) - \alpha g

    In natural coordinates psi is the log-partition A, in mean coordinates its conjugate A*.

    Args:
        family: with its potentials.
        point: v, ``(P,)``, in the coordinates named.
        gradient: g, ``(P,)``, of the loss in these coordinates.
        length: alpha, positive.
        coordinates: ``"natural"`` or ``"mean"``.

    Returns:
        u, ``(P,)``, in the same coordinates.

    Raises:
        ProblemError: the step leaves the domain, or the coordinates are unknown.

    Example:
        >>> from fishergauge.reference.families.exponential_family import POISSON
        >>> mirror_descent_step(POISSON, torch.tensor([2.0]), torch.tensor([0.0]), 1.0, "mean")
        tensor([2.])

    Reference:
        Beck and Teboulle, "Mirror descent and nonlinear projected subgradient methods", Operations Research Letters 31
        (2003), sec. 3.
    """
    _known(coordinates)
    if coordinates == "natural":
        return _inside(family, family.natural(_inside(family, family.mean(point) - length * gradient, "mean")), "natural")
    return _inside(family, family.mean(_inside(family, family.natural(point) - length * gradient, "natural")), "mean")


def dual_natural_gradient_step(
    family: ExponentialFamily, point: Tensor, gradient: Tensor, length: float, coordinates: str
) -> Tensor:
    r"""A step of natural gradient descent in the coordinates named, :math:`\theta - \alpha F_\theta^{-1} \nabla_\theta L`.

    It is the step of mirror descent in the other coordinates, exactly and for every length, because
    :math:`F_\eta^{-1} \nabla_\eta L = \nabla_m L` and :math:`F_m^{-1} \nabla_m L = \nabla_\eta L`.

    Args:
        family: gives the Fisher.
        point: theta, ``(P,)``.
        gradient: of the loss in theta, ``(P,)``.
        length: alpha.
        coordinates: ``"natural"`` or ``"mean"``.

    Returns:
        ``(P,)``, in the same coordinates.

    Raises:
        ProblemError: the step leaves the domain, or the coordinates are unknown.

    Example:
        >>> from fishergauge.reference.families.exponential_family import POISSON
        >>> dual_natural_gradient_step(POISSON, torch.tensor([2.0]), torch.tensor([0.5]), 1.0, "mean")
        tensor([1.])

    Reference:
        Raskutti and Mukherjee, "The information geometry of mirror descent", IEEE Transactions on Information Theory 61
        (2015), theorem 1.
    """
    _known(coordinates)
    fisher = family.fisher(point) if coordinates == "natural" else family.mean_fisher(point)
    return _inside(family, point - length * torch.linalg.solve(fisher, gradient), coordinates)


def _inside(family: ExponentialFamily, point: Tensor, coordinates: str) -> Tensor:
    try:
        family.require_domain(point, coordinates)
    except ProblemError as error:
        raise ProblemError(
            f"the step leaves the domain of the {coordinates} parameters of the {family.name} family; shorten it"
        ) from error
    return point


def _known(coordinates: str) -> None:
    if coordinates not in ("natural", "mean"):
        raise ProblemError(f"the coordinates are 'natural' or 'mean', not {coordinates!r}")
