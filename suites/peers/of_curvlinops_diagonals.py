"""curvlinops: stochastic estimates of the diagonal from products with random vectors, of the GGN and of the Hessian.

They draw vectors, not labels, from torch's global generator; the number of draws is the number of products.
"""

from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import quiet
from fishergauge.suites.peers.of_curvlinops_operator import Build, library, made, operator, seed_from
from fishergauge.suites.peers.peer import Peer

MAY_BE_NEGATIVE = ("T26-psd",)
"""An unbiased estimate of a diagonal may have entries below zero; nothing else is promised."""


def peers() -> list[Peer]:
    """Hutchinson's estimator with both distributions, and XDiag."""
    conversion = "the vectors are drawn after torch's global generator was seeded from the generator of the check"
    hutchinson = "hutchinson_diag: unbiased, from num_matvecs vectors (docstring), fewer than the dimension"
    crossed = "xdiag: estimates the diagonal with num_matvecs products, an even number less than the dimension"
    found = []
    for distribution in ("rademacher", "normal"):
        build = _estimated("hutchinson_diag", 1, distribution=distribution)
        found.append(
            made(
                f"hutchinson-diag-{distribution}",
                build,
                "ggn",
                "diagonal",
                hutchinson,
                conversion,
                samples=1,
                disclaims=MAY_BE_NEGATIVE,
            )
        )
    found.append(
        made("xdiag", _estimated("xdiag", 2), "ggn", "diagonal", crossed, conversion, samples=2, disclaims=MAY_BE_NEGATIVE)
    )
    return found


def _estimated(function: str, products: int, **options: Any) -> Build:
    def build(problem: Problem, generator: torch.Generator) -> Tensor:
        if problem.num_parameters <= products:
            raise NotImplementedError(f"curvlinops documents that num_matvecs ({products}) must be less than the dimension")
        matrix = operator("GGNLinearOperator", problem, check_deterministic=False)
        with quiet(), torch.random.fork_rng([problem.device] if problem.device.type == "cuda" else []):
            torch.manual_seed(seed_from(generator))
            diagonal: Tensor = getattr(library(), function)(matrix, products, **options)
        return torch.diag(diagonal)

    return build
