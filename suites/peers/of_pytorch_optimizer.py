"""pytorch_optimizer: the statistics L and R of Shampoo, ScalableShampoo and SOAP, by steps on single samples.

``Shampoo`` sums, from ``matrix_eps`` times the identity; the other two average with a decay. A step is no approximation of
a Fisher unless its gradient is that of a single term: a batch gradient gives the second moment of the mean.
"""

from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import trained
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.peers.shampoo_statistics import power_step
from fishergauge.suites.subject import Subject

EPSILON, DECAY = 1e-6, 0.9
STEPS = "one step a sample at learning rate 0"


def peers() -> list[Peer]:
    """The three optimisers whose statistics are those of Shampoo."""
    return [
        _peer("shampoo", shampoo, "Shampoo: 'matrix preconditioning' of Gupta et al. 2018", f"{STEPS}; matrix_eps subtracted"),
        _peer("scalable-shampoo", scalable, "ScalableShampoo: betas[1] decays the statistics", f"{STEPS}; the decay undone"),
        _peer(
            "soap",
            soap,
            "SOAP: shampoo_beta decays the covariances GG",
            f"{STEPS} after one that only begins; the decay undone",
        ),
    ]


def _peer(quantity: str, build: Any, promise: str, conversion: str) -> Peer:
    subject = Subject(
        f"pytorch_optimizer/{quantity}",
        build,
        "empirical-fisher",
        "none",
        bias="separate",
        claims=["T23"],
        disclaims=["T26-additive"],
    )
    return Peer("pytorch_optimizer", "pytorch_optimizer", subject, promise, conversion)


def shampoo(problem: Problem) -> Tensor:
    """The sums of ``Shampoo``."""
    from pytorch_optimizer import Shampoo

    def make(model: nn.Module) -> Any:
        return Shampoo(trained(model), lr=0.0, matrix_eps=EPSILON)

    def read(optimizer: Any, parameter: nn.Parameter) -> list[Tensor]:
        state = optimizer.state[parameter]
        sums = [state[f"pre_cond_{axis}"] for axis in range(parameter.ndim)]
        return [total - EPSILON * torch.eye(len(total), dtype=total.dtype, device=total.device) for total in sums]

    return power_step(problem, make, read)


def scalable(problem: Problem) -> Tensor:
    """The running averages of ``ScalableShampoo``, which has none for vectors."""
    from pytorch_optimizer import ScalableShampoo

    if any(parameter.ndim == 1 for parameter in problem.parameters.values()):
        raise NotImplementedError("ScalableShampoo keeps no statistics of a vector")

    def make(model: nn.Module) -> Any:
        options: dict[str, Any] = {"shape_interpretation": False, "matrix_eps": 0.0, "preconditioning_compute_steps": 10**9}
        return ScalableShampoo(trained(model), lr=0.0, betas=(0.9, DECAY), **options)

    def read(optimizer: Any, parameter: nn.Parameter) -> list[Tensor]:
        return list(optimizer.state[parameter]["pre_conditioner"].statistics)

    return power_step(problem, make, read, DECAY)


def soap(problem: Problem) -> Tensor:
    """The running averages of ``SOAP``."""
    from pytorch_optimizer import SOAP

    def make(model: nn.Module) -> Any:
        options: dict[str, Any] = {"weight_decay": 0.0, "precondition_1d": True, "precondition_frequency": 10**9}
        return SOAP(trained(model), lr=0.0, shampoo_beta=DECAY, **options)

    def read(optimizer: Any, parameter: nn.Parameter) -> list[Tensor]:
        return list(optimizer.state[parameter]["GG"])

    return power_step(problem, make, read, DECAY)
