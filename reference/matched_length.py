"""Step lengths with a prescribed divergence, by root finding."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import elementwise
from torch import Tensor

from fishergauge.reference.errors import ConvergenceError

TOLERANCE = 1e-10
MARGIN = 0.05  # half-width of the first bracket, in the logarithm of the length
WIDEST = 50.0  # lengths beyond e^50 times the guess are not tried


def matched_length(kl: Callable[[Tensor], Tensor], target: Tensor, guess: Tensor) -> Tensor:
    r"""Lengths a with KL(a) = target, to 1e-10 relative (float64), for several targets at once.

    The root is sought in the logarithm of the length, where a divergence that is quadratic for small
    steps is a straight line of slope two.

    Args:
        kl: the divergence along one direction, for any number of lengths: ``(b,) -> (b,)``; increasing
            from zero.
        target: prescribed divergences, positive, ``(B,)``.
        guess: lengths to start from, positive, ``(B,)``; those of the quadratic model do well.

    Returns:
        ``(B,)``, positive.

    Raises:
        ConvergenceError: no length reaches a target (the divergence is bounded along the direction), or
            the tolerance is not met.

    Example:
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> matched_length(lambda a: a**2 / 2, 8 * one, one).round(decimals=9)
        tensor([4.], dtype=torch.float64)

    Reference:
        Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear
        function without using derivatives", Advances in Engineering Software 28 (1997), as implemented by
        ``scipy.optimize.elementwise.find_root``.
    """
    if not bool(((target > 0) & (guess > 0) & target.isfinite() & guess.isfinite()).all()):
        raise ConvergenceError("targets and guesses must be positive and finite")
    log_guess, log_target = (x.detach().cpu().double().numpy() for x in (guess.log(), target.log()))

    def excess(log_length: NDArray[np.float64], log_goal: NDArray[np.float64]) -> NDArray[np.float64]:
        divergence = kl(torch.as_tensor(log_length).exp().to(guess))
        # a divergence that underflows or overflows is still on the right side of the target
        divergence = divergence.clamp(torch.finfo(guess.dtype).tiny, torch.finfo(guess.dtype).max)
        return np.asarray(divergence.log().detach().cpu().double().numpy() - log_goal)

    bracket = elementwise.bracket_root(
        excess, log_guess - MARGIN, log_guess + MARGIN, xmax=log_guess + WIDEST, args=(log_target,), maxiter=100
    )
    if not np.all(bracket.success):
        raise ConvergenceError(
            f"no step length reaches the target divergences {target[~torch.as_tensor(bracket.success)].tolist()}; "
            "the divergence is bounded along this direction, or the direction does not change the outputs"
        )
    tolerance = max(TOLERANCE / 4, 8 * torch.finfo(guess.dtype).eps)
    found = elementwise.find_root(
        excess, bracket.bracket, args=(log_target,), tolerances={"fatol": tolerance, "frtol": 0, "xatol": 0, "xrtol": 0}
    )
    lengths = torch.as_tensor(found.x).exp().to(guess)
    error = (kl(lengths) / target - 1).abs().max()
    if not float(error) <= 4 * tolerance:
        raise ConvergenceError(f"the divergence of the step misses its target by {float(error):.1e} relative")
    return lengths
