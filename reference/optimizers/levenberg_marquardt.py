"""Damping: fixed, or adapted by the rule of Levenberg and Marquardt."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from fishergauge.reference.errors import ProblemError


class Damping(Protocol):
    """A damping and how it changes with the reduction ratio of a step."""

    @property
    def damping(self) -> float:
        """lambda."""

    def updated(self, ratio: float) -> "Damping":
        """The damping of the next step."""

    def accepts(self, ratio: float) -> bool:
        """Whether a step of that reduction ratio is taken."""


@dataclass(frozen=True)
class Fixed:
    """A damping that never changes; every step is taken.

    Args:
        damping: lambda, not negative.

    Raises:
        ProblemError: it is negative or infinite.

    Example:
        >>> Fixed(0.1).updated(-3.0).damping
        0.1
    """

    damping: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.damping < math.inf:
            raise ProblemError(f"damping must not be negative, and finite; got {self.damping}")

    def updated(self, ratio: float) -> "Fixed":
        """Itself."""
        return self

    def accepts(self, ratio: float) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class LevenbergMarquardt:
    r"""A damping that falls where the quadratic model is good and rises where it is not.

    .. math:: \lambda \leftarrow \omega \lambda \text{ if } \rho > 3/4, \quad
        \lambda \leftarrow \lambda / \omega \text{ if } \rho < 1/4

    A step that does not decrease the objective (:math:`\rho \le 0`) is not taken, so that the objective never rises.

    Args:
        damping: lambda, positive.
        factor: omega, between 0 and 1.
        low: the ratio below which the damping rises.
        high: the ratio above which it falls.
        least: the damping does not fall below it.

    Raises:
        ProblemError: an argument is out of its range.

    Example:
        >>> rule = LevenbergMarquardt(1.0, factor=0.5)
        >>> rule.updated(0.9).damping, rule.updated(0.5).damping, rule.updated(0.1).damping
        (0.5, 1.0, 2.0)

    Reference:
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML 2015, sec. 6.5 of
        arXiv 1503.05671; Nocedal and Wright, "Numerical optimization", 2nd ed. (2006), algorithm 4.1.
    """

    damping: float
    factor: float = 0.5
    low: float = 0.25
    high: float = 0.75
    least: float = 0.0

    def __post_init__(self) -> None:
        if not self.damping > 0:
            raise ProblemError(f"an adapted damping must be positive, got {self.damping}; Fixed(0) has none")
        if not self.least >= 0:
            raise ProblemError(f"the least damping must not be negative, got {self.least}")
        if not 0 < self.factor < 1:
            raise ProblemError(f"the factor lies between 0 and 1, got {self.factor}")
        if not 0 < self.low < self.high:
            raise ProblemError(f"the thresholds must satisfy 0 < low < high, got {self.low} and {self.high}")

    def updated(self, ratio: float) -> "LevenbergMarquardt":
        """The damping after a step of that reduction ratio; NaN counts as bad."""
        if ratio > self.high:
            return replace(self, damping=max(self.factor * self.damping, self.least) or self.damping)
        if ratio < self.low or math.isnan(ratio):
            return replace(self, damping=self.damping / self.factor)
        return self

    def accepts(self, ratio: float) -> bool:
        """Whether the objective decreases."""
        return ratio > 0


def reduction_ratio(before: Tensor, after: Tensor, gradient: Tensor, matrix: Tensor, step: Tensor) -> Tensor:
    r"""The change of the objective over that of its quadratic model.

    .. math:: \rho = \frac{L(\theta + d) - L(\theta)}{g'd + d'Fd/2}

    The model has the curvature without damping, so that :math:`\rho = 1` for a quadratic objective with F its Hessian,
    whatever the step.

    Args:
        before: L(theta), a scalar.
        after: L(theta + d), a scalar.
        gradient: g, ``(P,)``.
        matrix: F, ``(P, P)``.
        step: d, ``(P,)``.

    Returns:
        A scalar: one where the model is exact, negative where the objective rises although the model falls.

    Example:
        >>> import torch
        >>> reduction_ratio(torch.tensor(1.0), torch.tensor(0.5), torch.ones(1), torch.eye(1), -torch.ones(1))
        tensor(1.)

    Reference:
        Nocedal and Wright, "Numerical optimization", 2nd ed. (2006), eq. 4.4.
    """
    return (after - before) / (gradient @ step + step @ (matrix @ step) / 2)
