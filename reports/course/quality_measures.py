"""How good a matrix is in the place of the Fisher: its entries, its step, and what a step of given divergence gains."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fishergauge.reference import ConvergenceError, Problem, fisher, gradient, matched_length
from fishergauge.reference.jacobian import split_outputs
from fishergauge.reference.terms import Terms, terms_of

DAMPING = 0.1  # of the mean modulus of the eigenvalues of each matrix
KLS = (1e-4, 1e-2)
OTHER_DAMPINGS = (1e-3, 1.0)  # at which the first order is measured as well


def matrix_error(matrix: Tensor, exact: Tensor) -> float:
    r"""The relative error :math:`|M - F| / |F|` in the Frobenius norm."""
    return float((matrix - exact).norm() / exact.norm())


def shape_error(matrix: Tensor, exact: Tensor) -> float:
    r"""The relative error after the best scalar, :math:`\min_c |c M - F| / |F|`: the sine of the angle; one for zero."""
    size = matrix.norm()
    if float(size) == 0:
        return 1.0
    unit = matrix / size
    return float((exact - (unit * exact).sum() * unit).norm() / exact.norm())


def damped_direction(matrix: Tensor, gradient: Tensor, fraction: float) -> Tensor:
    r"""The direction :math:`(M + \lambda I)^{-1} g` with :math:`\lambda` a fraction of the mean modulus of M's eigenvalues.

    The fraction, and not lambda, is common to all matrices, so that c M and M have the same direction for every c > 0. An
    indefinite matrix is taken as it is: its direction may lead uphill.

    Args:
        matrix: M, ``(P, P)``, symmetric; the zero matrix gives the zero direction.
        gradient: g, ``(P,)``.
        fraction: of the mean.

    Returns:
        ``(P,)``.
    """
    if not bool(matrix.any()):
        return torch.zeros_like(gradient)
    mean = matrix.trace() / len(matrix)
    rounding = len(matrix) * torch.finfo(matrix.dtype).eps * mean.abs()
    if _factor(matrix, rounding) is not None:
        factor = _factor(matrix, fraction * mean)
        if factor is not None:
            return torch.cholesky_solve(gradient[:, None], factor)[:, 0]
    values, vectors = torch.linalg.eigh(matrix)
    direction: Tensor = vectors @ (vectors.T @ gradient / (values + fraction * values.abs().mean()))
    return direction


def _factor(matrix: Tensor, damping: Tensor) -> Tensor | None:
    """The Cholesky factor of M + lambda I, None where that is not positive definite."""
    damped = matrix.clone()
    damped.diagonal().add_(damping)
    factor, info = torch.linalg.cholesky_ex(damped)
    return None if int(info) else factor


@dataclass(frozen=True, eq=False)
class Yardstick:
    """The exact Fisher of a problem and its step: what approximations are measured against.

    Args:
        problem: with a log-likelihood.
        fraction: of the damping.
        kls: divergences at which the decrease of the loss is measured.
    """

    problem: Problem
    fraction: float = DAMPING
    kls: tuple[float, ...] = KLS

    @cached_property
    def exact(self) -> Tensor:
        """F, ``(P, P)``, from output Hessians."""
        return fisher(self.problem, kind=2).dense()

    @cached_property
    def gradient(self) -> Tensor:
        """g, ``(P,)``."""
        return gradient(self.problem)

    @cached_property
    def direction(self) -> Tensor:
        """The damped natural gradient, ``(P,)``."""
        return damped_direction(self.exact, self.gradient, self.fraction)

    @cached_property
    def other_slopes(self) -> list[float]:
        """The first-order decrease of the exact Fisher's step at the other dampings."""
        return [self.slope(damped_direction(self.exact, self.gradient, other)) for other in OTHER_DAMPINGS]

    @cached_property
    def decreases(self) -> list[float | None]:
        """What it gains at each divergence."""
        return self.gained(self.direction)

    @cached_property
    def terms(self) -> Terms:
        """The evaluated terms of the problem."""
        return terms_of(self.problem)

    @cached_property
    def evaluate(self) -> Callable[[dict[str, Tensor]], Tensor]:
        """The terms as a function of the parameters."""
        return split_outputs(self.problem, self.problem.inputs)

    def outputs(self, vector: Tensor) -> Tensor:
        """The outputs at other parameters, ``(K, C)``."""
        with torch.no_grad():
            return self.evaluate(self.problem.unflatten(vector)).flatten(0, 1)

    def inner(self, one: Tensor, other: Tensor) -> float:
        """The product s' F t."""
        return float(one @ (self.exact @ other))

    def slope(self, direction: Tensor) -> float:
        """First-order decrease for each unit of length in the Fisher metric, g's / |s|_F; zero without a length."""
        length = self.inner(direction, direction)
        return float(self.gradient @ direction) / length**0.5 if length > 0 else 0.0

    def gained(self, direction: Tensor) -> list[float | None]:
        """The decreases of the loss by the steps of the true divergences; None where no length has them.

        As with :func:`~fishergauge.reference.steps.kl_matched_step`, for all divergences in one search.
        """
        length = self.inner(direction, direction)
        if not length > 0:
            return [None] * len(self.kls)
        origin, likelihood, terms = self.problem.vector, self.problem.likelihood, self.terms

        def divergence(lengths: Tensor) -> Tensor:
            there = [likelihood.kl(terms.outputs, self.outputs(origin - a * direction)).sum() for a in lengths]
            return torch.stack(there) / terms.divisor

        targets = origin.new_tensor(self.kls)
        try:
            lengths = matched_length(divergence, targets, (2 * targets / length).sqrt())
        except ConvergenceError:
            return [None] * len(self.kls)
        here = likelihood.values(terms.outputs, terms.labels).sum()
        losses = [likelihood.values(self.outputs(origin - a * direction), terms.labels).sum() for a in lengths]
        return [float((here - loss) / terms.divisor) for loss in losses]

    def measure(self, matrix: Tensor) -> dict[str, float | None]:
        r"""All measures of a matrix.

        Args:
            matrix: M, ``(P, P)``.

        Returns:
            ``matrix_error``, ``shape_error`` and ``trace_ratio`` (tr M / tr F); ``step_error``, relative in the Euclidean norm;
            ``cos_fisher``, the cosine between the steps in the Fisher metric; ``first_order``, the ratio of the slopes, and
            ``first_order_...`` the same at other dampings of both; and for each divergence ``gain_...``, the decrease relative
            to that of the exact Fisher's step of the same divergence.

        Reference:
            Kunstner, Balles and Hennig, NeurIPS 2019, sec. 3, for steps; Martens and Grosse, ICML 2015, sec. 3, for entries.
        """
        direction = damped_direction(matrix, self.gradient, self.fraction)
        lengths = self.inner(direction, direction) * self.inner(self.direction, self.direction)
        row: dict[str, float | None] = {
            "matrix_error": matrix_error(matrix, self.exact),
            "shape_error": shape_error(matrix, self.exact),
            "trace_ratio": float(matrix.trace() / self.exact.trace()),
            "step_error": float((direction - self.direction).norm() / self.direction.norm()),
            "cos_fisher": self.inner(direction, self.direction) / lengths**0.5 if lengths > 0 else None,
            "first_order": self.slope(direction) / self.slope(self.direction),
        }
        for other, slope in zip(OTHER_DAMPINGS, self.other_slopes, strict=True):
            row[damping_column(other)] = self.slope(damped_direction(matrix, self.gradient, other)) / slope
        for kl, gained, best in zip(self.kls, self.gained(direction), self.decreases, strict=True):
            row[gain_column(kl)] = None if gained is None or best is None else gained / best
        return row


def gain_column(kl: float) -> str:
    """The name of the column of the gain at a divergence."""
    return f"gain_{kl:g}"


def damping_column(fraction: float) -> str:
    """The name of the column of the first-order gain at another damping."""
    return f"first_order_{fraction:g}"
