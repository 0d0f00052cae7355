"""torch_optimizer: the statistics L and R of Shampoo, summed from ``epsilon`` times I, by steps on single samples."""

from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import trained
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.peers.shampoo_statistics import power_step
from fishergauge.suites.subject import Subject

EPSILON = 1e-6


def peers() -> list[Peer]:
    """Its Shampoo."""
    subject = Subject(
        "torch_optimizer/shampoo",
        shampoo,
        "empirical-fisher",
        "none",
        bias="separate",
        claims=["T23"],
        # R contains inverse roots of L, which may be singular: what a permutation leaves of the digits is not in the bounds
        disclaims=["T26-additive", "T26-outputs", "T26-units"],
    )
    promise = "Shampoo, torch_optimizer/shampoo.py: 'Implements Shampoo Optimizer Algorithm', Gupta et al. 2018, algorithm 2"
    return [
        Peer(
            "torch_optimizer",
            "torch_optimizer",
            subject,
            promise,
            "one step a sample at a tiny learning rate; epsilon subtracted",
        )
    ]


def shampoo(problem: Problem) -> Tensor:
    """The sums of its Shampoo, which does not allow a learning rate of zero."""
    from torch_optimizer import Shampoo

    def make(model: nn.Module) -> Any:
        return Shampoo(trained(model), lr=1e-300, epsilon=EPSILON)

    def read(optimizer: Any, parameter: nn.Parameter) -> list[Tensor]:
        state = optimizer.state[parameter]
        sums = [state[f"precond_{axis}"] for axis in range(parameter.ndim)]
        return [total - EPSILON * torch.eye(len(total), dtype=total.dtype, device=total.device) for total in sums]

    return power_step(problem, make, read)
