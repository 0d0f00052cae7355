"""laplace-torch: options that its backend of curvlinops takes from call to call: seed and number of draws."""

from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import under
from fishergauge.suites.peers.of_laplace_torch_fit import (
    CONVERSION,
    PROMISE,
    STRUCTURES,
    WORDS,
    dense,
    interface,
    likelihood_of,
    made,
    scale,
)
from fishergauge.suites.peers.peer import Peer

CALLS = "; the backend is called for each batch and its matrices are added, as fit does"


def peers() -> list[Peer]:
    """Monte-Carlo estimates of the GGN with a seed of its own for each batch."""
    found = []
    for structure in ("full", "kron"):
        promise = (
            PROMISE.format(WORDS["ggn"]) + "; mc_samples labels drawn for each datum with stochastic=True (comment in kron)"
        )
        conversion = CONVERSION + CALLS + "; each call is given a seed, which curvlinops takes and otherwise keeps constant"
        build = _drawn_full if structure == "full" else _drawn_kron
        found.append(made(f"curvlinops-ggn-mc-{structure}-seeded", build, "ggn", STRUCTURES[structure], promise, conversion, 1))
    return found


def _drawn_full(problem: Problem, generator: torch.Generator, samples: int = 1) -> Tensor:
    return _drawn(problem, "full", generator, samples)


def _drawn_kron(problem: Problem, generator: torch.Generator, samples: int = 1) -> Tensor:
    return _drawn(problem, "kron", generator, samples)


def _drawn(problem: Problem, structure: str, generator: torch.Generator, samples: int) -> Tensor:
    seeds = torch.randint(2**31, (len(problem.batches),), generator=generator).tolist()
    options: list[dict[str, Any]] = [{"mc_samples": samples, "seed": seed} for seed in seeds]
    return under(problem, _summed)(problem, structure, options)


def _summed(problem: Problem, structure: str, options: list[dict[str, Any]]) -> Tensor:
    """The sum over batches of what the backend returns, each with options of its own."""
    likelihood, targets = likelihood_of(problem)
    backend = interface("curvlinops", "ggn")(problem.model, likelihood, stochastic=True)
    call = getattr(backend, structure)
    parts = [
        call(inputs, labels, N=problem.num_samples, **option)[1]
        for (inputs, _), labels, option in zip(problem.batches, targets, options, strict=True)
        if len(inputs)
    ]
    return dense(sum(parts[1:], parts[0])) * scale(problem)
