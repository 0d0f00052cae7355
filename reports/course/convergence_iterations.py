"""Linear iterations: steps to a tolerance by repeated squaring, measured rates, and the rates that theory predicts."""

import math

import torch
from torch import Tensor


def gradient_descent_rate(kappa: float) -> float:
    r"""The contraction of gradient descent with the best fixed length 2 / (L + mu), :math:`(\kappa - 1) / (\kappa + 1)`.

    Reference:
        Nesterov, "Introductory lectures on convex optimization" (2004), theorem 2.1.15.
    """
    return (kappa - 1) / (kappa + 1)


def heavy_ball_rate(kappa: float) -> float:
    r"""The spectral radius of the best heavy ball, :math:`(\sqrt\kappa - 1) / (\sqrt\kappa + 1)`.

    Reference:
        Polyak, USSR Computational Mathematics and Mathematical Physics 4 (1964), theorem 9.
    """
    return (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)


def damped_rate(smallest: float, damping: float) -> float:
    r"""The contraction of damped natural gradient steps of length one, :math:`\max_i \lambda / (\lambda_i + \lambda)`."""
    return damping / (smallest + damping)


def predicted_steps(rate: float, tolerance: float, share: float = 1.0) -> float:
    r"""The n with :math:`s \rho^n = \epsilon`; one step where the rate is zero, infinite where it is one or more.

    Args:
        rate: rho.
        tolerance: epsilon.
        share: s, of the components that contract at this rate in the initial error.

    Returns:
        n, a real number.
    """
    if rate <= 0:
        return 1.0
    return math.log(tolerance / share) / math.log(rate) if rate < 1 else math.inf


def heavy_ball_steps(rate: float, tolerance: float, share: float = 1.0) -> float:
    r"""The n with :math:`s (1 + n (1 + r)) r^n = \epsilon`: both ends of the spectrum are double roots of the iteration.

    Started at rest, the component of the largest eigenvalue is :math:`(1 + n (1 + r)) (-r)^n`, that of the smallest
    :math:`(1 + n (1 - r)) r^n`; the others lack the factor n.

    Args:
        rate: r.
        tolerance: epsilon.
        share: s, of the component of the largest eigenvalue in the initial error.

    Returns:
        n, a real number.
    """
    n = predicted_steps(rate, tolerance, share)
    for _ in range(60):  # the fixed point contracts by about 1 / (n log r)
        n = (math.log(tolerance) - math.log(share * (1 + n * (1 + rate)))) / math.log(rate)
    return n


def heavy_ball_matrix(hessian: Tensor, largest: float, smallest: float) -> Tensor:
    """The map of (error, previous error) of the best heavy ball: ``(..., D, D)`` to ``(..., 2 D, 2 D)``."""
    length = 4 / (math.sqrt(largest) + math.sqrt(smallest)) ** 2
    momentum = heavy_ball_rate(largest / smallest) ** 2
    identity = torch.eye(hessian.shape[-1], dtype=hessian.dtype, device=hessian.device).expand_as(hessian)
    top = torch.cat([(1 + momentum) * identity - length * hessian, -momentum * identity], -1)
    return torch.cat([top, torch.cat([identity, torch.zeros_like(identity)], -1)], -2)


def steps_to_tolerance(matrix: Tensor, error: Tensor, tolerance: float, width: int, exponent: int = 26) -> tuple[int, float]:
    r"""How many steps an iteration :math:`e \mapsto Q e` needs, by binary lifting with the powers :math:`Q^{2^j}`.

    Args:
        matrix: Q, ``(S, S)``.
        error: e, ``(S,)``.
        tolerance: relative to the initial norm, of the first ``width`` entries.
        width: how many entries of e are the error.
        exponent: the search ends at 2^exponent steps.

    Returns:
        The number of steps n, the first one where the norm falls monotonically, and the geometric mean of the contraction
        over the last half of them. At the end of the search n is 2^exponent.
    """
    goal = tolerance * float(error[:width].norm())
    powers = [matrix]
    while len(powers) < exponent and float((powers[-1] @ error)[:width].norm()) > goal:
        powers.append(powers[-1] @ powers[-1])
    steps, vector = 0, error
    for j in reversed(range(len(powers))):
        moved = powers[j] @ vector
        if float(moved[:width].norm()) > goal:
            steps, vector = steps + 2**j, moved
    half = steps // 2
    if half == 0:
        return steps + 1, float((matrix @ error)[:width].norm() / error[:width].norm())
    middle = error
    for j, power in enumerate(powers):
        if half >> j & 1:
            middle = power @ middle
    return steps + 1, float(vector[:width].norm() / middle[:width].norm()) ** (1 / (steps - half))
