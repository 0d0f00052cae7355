"""Advantage estimates along streams of rewards."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def generalized_advantages(
    rewards: Tensor, values: Tensor, following: Tensor, terminated: Tensor, ended: Tensor, discount: float, trace: float
) -> Tensor:
    r"""Generalised advantage estimates along B parallel streams of T steps.

    .. math:: \delta_t = r_t + \gamma (1 - \mathrm{term}_t) v(s_{t+1}) - v(s_t), \quad
        A_t = \delta_t + \gamma \lambda (1 - \mathrm{end}_t) A_{t+1}, \quad A_T = 0

    An episode that terminates has no value beyond; one that is cut off keeps the value of its last state. Neither passes
    anything on from the episode that follows. With :math:`\lambda = 1` an advantage is the discounted return less the value.

    Args:
        rewards: r, ``(T, B)``.
        values: of the states before each step, ``(T, B)``.
        following: of the states after each step, before any reset, ``(T, B)``; after a terminal state it does not count.
        terminated: whether the step ended its episode in a terminal state, ``(T, B)`` of bool.
        ended: whether it ended its episode in any way, ``(T, B)`` of bool.
        discount: gamma, in [0, 1].
        trace: lambda, in [0, 1].

    Returns:
        ``(T, B)``.

    Raises:
        ProblemError: shapes differ, ends are not of bool, a terminated step is not marked as an end, or a factor is not in
            [0, 1].

    Example:
        >>> one, no = torch.ones(3, 1), torch.zeros(3, 1)
        >>> end = torch.tensor([[False], [False], [True]])
        >>> generalized_advantages(one, no, no, end, end, discount=0.5, trace=1.0).flatten()  # returns
        tensor([1.7500, 1.5000, 1.0000])

    Reference:
        Schulman et al., "High-dimensional continuous control using generalized advantage estimation", ICLR 2016, eq. 16.
    """
    if len({tensor.shape for tensor in (rewards, values, following, terminated, ended)}) > 1 or rewards.ndim != 2:
        raise ProblemError("rewards, values and ends must share one shape (T, B)")
    if terminated.dtype != torch.bool or ended.dtype != torch.bool:
        raise ProblemError(f"ends are of bool, got {terminated.dtype} and {ended.dtype}")
    if bool((terminated & ~ended).any()):
        raise ProblemError("a step that terminates its episode also ends it; mark it in both")
    if not 0 <= discount <= 1 or not 0 <= trace <= 1:
        raise ProblemError(f"discount and trace lie between 0 and 1, got {discount} and {trace}")
    errors = rewards + discount * following.where(~terminated, 0) - values
    carried, advantages = errors.new_zeros(errors.shape[1:]), torch.empty_like(errors)
    for t in range(len(rewards) - 1, -1, -1):
        carried = errors[t] + discount * trace * carried * ~ended[t]
        advantages[t] = carried
    return advantages
