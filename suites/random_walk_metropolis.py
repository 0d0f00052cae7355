"""A random-walk Metropolis sampler, many chains at once, and whether they have mixed."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def random_walk_metropolis(
    log_density: Callable[[Tensor], Tensor], starts: Tensor, scale: Tensor, steps: int, source: torch.Generator
) -> Tensor:
    """Chains of a density, all moved at once.

    Args:
        log_density: not normalised, of points ``(K, P)``: ``(K,)``.
        starts: one a chain, ``(K, P)``.
        scale: root of the covariance of the proposals, ``(P, P)``.
        steps: S.
        source: of the random numbers.

    Returns:
        The states after each step, ``(S, K, P)``.

    Reference:
        Metropolis et al., "Equation of state calculations by fast computing machines" (1953); Gelman et al., "Bayesian data
        analysis", 3rd ed. (2013), sec. 11.2.
    """
    states, current = starts, log_density(starts)
    moves = torch.randn(steps, *starts.shape, generator=source, dtype=starts.dtype) @ scale.T
    thresholds = torch.rand(steps, len(starts), generator=source, dtype=starts.dtype).log()
    chains = starts.new_empty(steps, *starts.shape)
    for step in range(steps):
        proposed = states + moves[step]
        value = log_density(proposed)
        accepted = thresholds[step] < value - current
        states = torch.where(accepted[:, None], proposed, states)
        current = torch.where(accepted, value, current)
        chains[step] = states
    return chains


def split_r_hat(chains: Tensor) -> float:
    """The largest potential scale reduction over the coordinates, of chains ``(S, K, P)`` cut in half.

    Reference:
        Gelman et al., "Bayesian data analysis", 3rd ed. (2013), eq. 11.4.
    """
    half = len(chains) // 2
    pieces = torch.cat([chains[:half], chains[half : 2 * half]], 1)
    within = pieces.var(0).mean(0)
    between = pieces.mean(0).var(0)
    return math.sqrt(float(((half - 1) / half + between / within).max()))
