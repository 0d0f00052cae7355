"""sirfshampoo: the curvature terms in the momenta of its inverse- and root-free Shampoo, by steps on single samples.

With a tiny beta2 the preconditioners stay identities, and a step adds ``(G G' / d - I) / 2`` to a running average, where d is
the product of the other axes. Axes of length one are left out.
"""

from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import trained
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.peers.shampoo_statistics import power_step
from fishergauge.suites.subject import Subject

DECAY = 0.9
GAIN = 2.0**10  # beside G G' / d the identity is small then, and its subtraction costs no digits
TINY = {"lr": 1e-300, "beta2": 1e-300}  # zero is refused


def peers() -> list[Peer]:
    """Its statistics for weights and biases, each by itself."""
    subject = Subject(
        "sirfshampoo/shampoo",
        statistics,
        "empirical-fisher",
        "none",
        bias="separate",
        claims=["T23"],
        disclaims=["T26-additive"],
    )
    promise = (
        "SIRFShampoo, sirfshampoo/optimizer.py: the update of m_C and m_K of 'Can we remove the square-root', Lin et al. 2024"
    )
    conversion = "one step a sample; the decay alpha2, the halves, the identity and the division by d undone"
    return [Peer("sirfshampoo", "sirfshampoo", subject, promise, conversion)]


def statistics(problem: Problem) -> Tensor:
    """Sums of G G' and G' G read from the momenta."""
    from sirfshampoo import SIRFShampoo

    weights = 1 - DECAY**problem.num_samples

    def make(model: nn.Module) -> Any:
        return SIRFShampoo(model, trained(model), **TINY, alpha1=0.0, alpha2=DECAY, lam=0.0, batch_size=1)

    def read(optimizer: Any, parameter: nn.Parameter) -> list[Tensor]:
        (place,) = (i for i, group in enumerate(optimizer.param_groups) if group["params"][0] is parameter)
        momenta = [momentum.to_dense() for momentum in optimizer.preconditioner_momenta[place]]
        size = parameter.numel()
        return [(2 * m + weights * torch.eye(len(m), dtype=m.dtype, device=m.device)) * (size / len(m)) for m in momenta]

    return power_step(problem, make, read, DECAY, GAIN)
