"""Conjugate gradients that stop early: by progress, residual, number of products, or where the curvature ends."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fishergauge.reference.conjugate_gradients import Multiplies
from fishergauge.reference.errors import ProblemError

Reason = Literal["residual", "progress", "iterations", "curvature"]


@dataclass(frozen=True)
class Truncated:
    r"""Where conjugate gradients stopped, and why.

    Args:
        solution: the last iterate, ``(P,)``.
        products: how many products with A were taken.
        reason: ``"residual"``, ``"progress"``, ``"iterations"``, or ``"curvature"``: a direction without positive curvature.
        residual: :math:`|b - (A + \lambda I) x| / |b|` of the last iterate, by its recurrence.
        model: the quadratic :math:`x'(A + \lambda I)x / 2 - b'x` of the start and after each iteration.
        direction: the direction without positive curvature, ``(P,)``, where the reason is that; else None.
    """

    solution: Tensor
    products: int
    reason: Reason
    residual: float
    model: tuple[float, ...]
    direction: Tensor | None = None


def truncated_conjugate_gradients(
    matrix: Multiplies,
    right: Tensor,
    damping: float = 0.0,
    *,
    start: Tensor | None = None,
    preconditioner: Tensor | None = None,
    tolerance: float = 1e-10,
    progress: float | None = None,
    iterations: int | None = None,
) -> Truncated:
    r"""An approximate solution of :math:`(A + \lambda I) x = b` after as many products as it is worth.

    It stops at the first of these: the residual falls to the tolerance; after more than k iterations, the quadratic
    :math:`\phi` has gained less than :math:`k \epsilon` of itself in the last :math:`k = \max(10, i/10)` of them,

    .. math:: \phi(x_i) < 0, \quad \frac{\phi(x_i) - \phi(x_{i-k})}{\phi(x_i)} < k \epsilon;

    the iterations are spent; or a direction p has :math:`p'(A + \lambda I)p \le P \epsilon_{mach} \rho \, p'p`, with
    :math:`\rho` the largest Rayleigh quotient met so far: A is not positive definite there, and the model has no minimum.

    Args:
        matrix: A, symmetric, with ``shape`` and ``@``.
        right: b, ``(P,)``.
        damping: lambda, not negative.
        start: the first iterate, ``(P,)``; zero by default. Another one costs a product.
        preconditioner: a positive diagonal, ``(P,)``, that resembles the matrix, such as
            :math:`(\mathrm{diag}\, A + \lambda)^{3/4}`.
        tolerance: on the residual, relative to the norm of b.
        progress: epsilon; None stands for no such test.
        iterations: at most so many; 10 P by default.

    Returns:
        The last iterate, and why it is the last. It never raises for want of accuracy: see
        :func:`~fishergauge.reference.conjugate_gradients.conjugate_gradients` for that.

    Raises:
        ProblemError: shapes do not fit, the damping is negative, the preconditioner is not positive, or something is NaN or
            infinite: right-hand side, start or a product.

    Example:
        >>> found = truncated_conjugate_gradients(torch.diag(torch.tensor([1.0, 2.0])), torch.ones(2), iterations=2)
        >>> found.solution.round(decimals=4), found.products
        (tensor([1.0000, 0.5000]), 2)

    Reference:
        Martens, "Deep learning via Hessian-free optimization", ICML 2010, sec. 4.4 and 4.7; negative curvature: Nocedal and
        Wright, "Numerical optimization", 2nd ed. (2006), algorithm 7.1.
    """
    if right.ndim != 1 or tuple(matrix.shape) != (len(right), len(right)):
        raise ProblemError(f"a matrix {tuple(matrix.shape)} and a right-hand side {tuple(right.shape)} do not fit")
    if not right.is_floating_point() or not bool(right.isfinite().all()):
        raise ProblemError("the right-hand side consists of floating-point numbers, none of them NaN or infinite")
    if not 0 <= damping < math.inf:
        raise ProblemError(f"damping must not be negative, got {damping}")
    if iterations is not None and iterations < 0:
        raise ProblemError(f"the number of iterations must not be negative, got {iterations}")
    if start is not None and (start.shape != right.shape or not bool(start.isfinite().all())):
        raise ProblemError(f"the start must be finite and of shape {tuple(right.shape)}, got {tuple(start.shape)}")
    if preconditioner is not None and (preconditioner.shape != right.shape or not bool((preconditioner > 0).all())):
        raise ProblemError(f"the preconditioner must be a positive diagonal of shape {tuple(right.shape)}")
    limit = 10 * len(right) if iterations is None else iterations
    right = right.detach()
    scale, noise = float(right.norm()), len(right) * torch.finfo(right.dtype).eps
    products, largest = 0, 0.0
    x, residual = torch.zeros_like(right), right.clone()
    if start is not None:
        x, products = start.detach().clone(), 1
        residual = right - _product(matrix, x, damping)
    preconditioned = residual if preconditioner is None else residual / preconditioner
    direction = preconditioned.clone()
    decrease = residual @ preconditioned
    model = [_quadratic(x, right, residual)]

    def stopped(reason: Reason, without_curvature: Tensor | None = None) -> Truncated:
        relative = float(residual.norm()) / scale if scale > 0 else float(residual.norm())
        return Truncated(x, products, reason, relative, tuple(model), without_curvature)

    while float(residual.norm()) > tolerance * scale:
        if len(model) > limit:
            return stopped("iterations")
        product = _product(matrix, direction, damping)
        products += 1
        curvature, size = float(direction @ product), float(direction @ direction)
        largest = max(largest, curvature / size)
        if curvature <= noise * largest * size:
            return stopped("curvature", direction)
        length = decrease / curvature
        x = x + length * direction
        residual = residual - length * product
        model.append(_quadratic(x, right, residual))
        if progress is not None and _stalled(model, progress):
            return stopped("progress")
        preconditioned = residual if preconditioner is None else residual / preconditioner
        before, decrease = decrease, residual @ preconditioned
        direction = preconditioned + (decrease / before) * direction
    return stopped("residual")


def _product(matrix: Multiplies, vector: Tensor, damping: float) -> Tensor:
    """(A + damping I) v, after refusing a product that is not finite: its residual would pass for met."""
    product: Tensor = (matrix @ vector).detach() + damping * vector
    if not bool(product.isfinite().all()):
        raise ProblemError("a product with the matrix is NaN or infinite; look at the matrix, or scale the problem")
    return product


def _quadratic(x: Tensor, right: Tensor, residual: Tensor) -> float:
    """x'Ax/2 - b'x, from the residual b - A x."""
    return -0.5 * float(x @ (right + residual))


def _stalled(model: list[float], progress: float) -> bool:
    """Whether the last k iterations gained less than k epsilon of the quadratic."""
    done = len(model) - 1
    window = max(10, done // 10)
    return done > window and model[-1] < 0 and (model[-1] - model[-1 - window]) / model[-1] < window * progress
