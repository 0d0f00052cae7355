"""curvlinops: K-FAC and EKFAC with every type of Fisher, expand and reduce, joint and separate biases.

Its convention is the one here: G kron A with the reduction of the loss, A divided by the number of data (times positions).
"""

from typing import Any

import torch

from fishergauge.reference import Problem
from fishergauge.suites.peers.of_curvlinops_operator import Build, made, operator, refusals, seed_from
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Bias, Sharing, Target

KFAC = "KFACLinearOperator"
EKFAC = "EKFACLinearOperator"
TARGETS: dict[str, Target] = {"type-2": "ggn", "mc": "fisher", "empirical": "empirical-fisher", "forward-only": "ggn"}
SHARINGS: tuple[Sharing, ...] = ("expand", "reduce")
BIASES: tuple[Bias, ...] = ("joint", "separate")
PROMISES = {
    "type-2": "the exact Hessian of the loss in the outputs is used",
    "mc": "the expectation is approximated by sampling mc_samples labels from the model's predictive distribution",
    "empirical": "the uncentered gradient covariance, or the empirical Fisher",
    "forward-only": "the gradient covariances will be identity matrices (FOOF, Benzing 2022)",
}
NO_LOSS = ("T26-additive", "T26-duplicated", "T26-sum-over-mean")
"""With the identity for G nothing depends on the loss, hence neither on its reduction."""


def peers() -> list[Peer]:
    """One subject for each combination of options."""
    found = []
    for sharing in SHARINGS:
        for bias in BIASES:
            for fisher, promise in PROMISES.items():
                found.append(_kfac(fisher, sharing, bias, f"KFACLinearOperator, fisher_type={fisher}: {promise}"))
                if fisher != "forward-only":
                    found.append(_ekfac(fisher, sharing, bias, f"EKFACLinearOperator, fisher_type={fisher}: {promise}"))
    return found


def factored(kind: str, problem: Problem, **options: Any) -> Any:
    """The operator after its first product, in which it computes its factors and refuses what it refuses."""
    with refusals():
        made_up = operator(kind, problem, **options)
        _ = made_up @ torch.zeros(problem.num_parameters, dtype=problem.dtype, device=problem.device)
        return made_up


def build_of(kind: str, fisher: str, sharing: Sharing, bias: Bias, check: bool | None = None) -> Build:
    """What makes the matrix of a problem; the library's check for determinism only with its other options at their defaults."""
    options = {
        "fisher_type": fisher,
        "kfac_approx": sharing,
        "separate_weight_and_bias": bias == "separate",
        "check_deterministic": (sharing, bias) == ("expand", "separate") if check is None else check,
    }

    def drawn(problem: Problem, generator: torch.Generator, samples: int) -> Any:
        return factored(kind, problem, seed=seed_from(generator), mc_samples=samples, **options)

    def plain(problem: Problem) -> Any:
        return factored(kind, problem, **options)

    return drawn if fisher == "mc" else plain


def _kfac(fisher: str, sharing: Sharing, bias: Bias, promise: str) -> Peer:
    name, build = f"kfac-{fisher}-{sharing}-{bias}", build_of(KFAC, fisher, sharing, bias)
    if fisher == "forward-only":
        claims = ("S1", "S2")
        return made(name, build, "ggn", "none", promise, bias=bias, sharing=sharing, claims=claims, disclaims=NO_LOSS)
    samples = 1 if fisher == "mc" else None
    return made(name, build, TARGETS[fisher], "kronecker", promise, bias=bias, sharing=sharing, samples=samples)


def _ekfac(fisher: str, sharing: Sharing, bias: Bias, promise: str) -> Peer:
    samples = 1 if fisher == "mc" else None
    build = build_of(EKFAC, fisher, sharing, bias)
    name = f"ekfac-{fisher}-{sharing}-{bias}"
    return made(name, build, TARGETS[fisher], "eigen-kronecker", promise, bias=bias, sharing=sharing, samples=samples)
