"""Trust-region policy optimisation: the natural policy gradient with a line search on the true divergence."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference.conjugate_gradients import Multiplies
from fishergauge.reference.divergence import kl_divergence
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.fisher import fisher
from fishergauge.reference.policy_gradient import natural_policy_gradient, surrogate_gain
from fishergauge.reference.problem import Problem


@dataclass(frozen=True)
class TrustRegionUpdate:
    """A step that passed the line search, or none.

    Args:
        step: ``(P,)``, to be added; zero if every length failed.
        kl: the divergence of the new policy from the old one, a scalar.
        gain: of the surrogate, a scalar.
        trials: how many lengths were tried.
        unsearched_kl: the divergence of the first length tried, the quadratic one.
        products: how many products with F the direction took.
    """

    step: Tensor
    kl: Tensor
    gain: Tensor
    trials: int
    unsearched_kl: Tensor
    products: int

    @property
    def accepted(self) -> bool:
        """Whether there is a step."""
        return bool(self.kl > 0)


def trust_region_policy_update(
    problem: Problem,
    advantages: Tensor,
    kl: float,
    *,
    damping: float = 0.0,
    iterations: int | None = 10,
    shrink: float = 0.5,
    trials: int = 10,
    curvature: Callable[[Problem], Multiplies] = fisher,
) -> TrustRegionUpdate:
    r"""The step of trust-region policy optimisation.

    The natural policy gradient at the length of quadratic divergence delta, shortened by the factor beta until

    .. math:: D(\theta, \theta + s) \le \delta \quad \text{and} \quad \text{the surrogate gains}

    with the true divergence of the new policy from the old one,
    :math:`D = \frac1K \sum_k KL(\pi_\theta(\cdot | s_k) \,\|\, \pi_{\theta + s}(\cdot | s_k))`.

    Args:
        problem: of :func:`policy_problem`.
        advantages: A, ``(K,)``.
        kl: delta.
        damping: lambda; in the direction and in its length, so that the quadratic divergence is the damped one.
        iterations: at most so many products for the direction.
        shrink: beta, between 0 and 1.
        trials: so many lengths are tried.
        curvature: F as a function of the problem; anything with products.

    Returns:
        The step with what it does; no step if every length failed.

    Raises:
        ProblemError: delta is not positive, beta is not between 0 and 1, or the natural gradient is zero.

    Example:
        >>> from fishergauge.reference.policy_gradient import policy_problem
        >>> policy = torch.nn.Linear(1, 2, bias=False).double()
        >>> problem = policy_problem(policy, torch.ones(2, 1).double(), torch.tensor([0, 1]))
        >>> update = trust_region_policy_update(problem, torch.tensor([1.0, -1.0]).double(), kl=0.01)
        >>> update.accepted, bool(update.kl <= 0.01), bool(update.gain > 0)
        (True, True, True)

    Reference:
        Schulman et al., "Trust region policy optimization", ICML 2015, sec. 5, 6 and appendix C.
    """
    if not 0 < shrink < 1 or trials < 1:
        raise ProblemError(f"the line search needs a factor between 0 and 1 and at least one trial, got {shrink} and {trials}")
    natural = natural_policy_gradient(problem, advantages, damping, iterations, curvature=curvature)
    step, origin = natural.step(kl), problem.vector
    first = kl_divergence(problem, origin + step)
    for trial in range(1, trials + 1):
        divergence = first if trial == 1 else kl_divergence(problem, origin + step)
        gain = surrogate_gain(problem, origin + step, advantages)
        if bool(divergence <= kl) and bool(gain > 0):
            return TrustRegionUpdate(step, divergence, gain, trial, first, natural.products)
        step = shrink * step
    zero = torch.zeros_like(divergence)
    return TrustRegionUpdate(torch.zeros_like(step), zero, zero, trials, first, natural.products)
