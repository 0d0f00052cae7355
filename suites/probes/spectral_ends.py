"""What the Lanczos process says of the ends of the spectrum of a subject's matrix, run once for all probes that ask."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.suites.probes.lanczos import extreme_interval, lanczos
from fishergauge.suites.probes.probe_case import ProbeCase

STEPS = 40
"""Of the Lanczos process: as many products, and as many vectors of length P while it runs."""
LEADING = 4
"""Ritz vectors at the upper end that are kept."""


@dataclass(frozen=True)
class SpectralEnds:
    """The ends of a spectrum.

    Args:
        values: the Ritz values, ascending.
        lowest: the Ritz vector of the smallest one, ``(P,)``.
        leading: those of the largest ones, the largest first; none unless they were asked for.
        interval: of the smallest eigenvalue.
        steps: of the process.
        finite: False where a product became too large for the dtype; the rest then is of the steps before.
    """

    values: Tensor
    lowest: Tensor
    leading: tuple[Tensor, ...]
    interval: tuple[float, float]
    steps: int
    finite: bool


def spectral_ends(case: ProbeCase, turn: int = 0) -> SpectralEnds:
    """The ends of the spectrum from the shared vector of that number, whose product is known; computed once.

    ``STEPS`` + 5 vectors of length P while it is computed, of which one is kept, and ``LEADING`` more for an EKFAC, whose
    eigenvectors are asked for; ``STEPS`` - 1 products.

    Args:
        case: gives the products.
        turn: number of the shared vector.
    """
    return case.once(("spectral ends", turn), lambda: _computed(case, turn))


def _computed(case: ProbeCase, turn: int) -> SpectralEnds:
    vectors, products, _ = case.shared()
    start = vectors[:, turn].contiguous()
    known = [products[:, turn] / torch.linalg.vector_norm(start)]

    def multiply(vector: Tensor) -> Tensor:
        return known.pop() if known else case.product(vector)

    krylov = lanczos(multiply, start, STEPS, case.generator("after an invariant space", turn))
    values, coefficients = krylov.ritz()
    count = min(LEADING, krylov.steps) if case.subject.structure == "eigen-kronecker" else 0
    leading = tuple(krylov.vector(coefficients[:, -1 - place]) for place in range(count))
    interval = extreme_interval(krylov, case.problem.num_parameters)
    return SpectralEnds(values, krylov.vector(coefficients[:, 0]), leading, interval, krylov.steps, krylov.finite)
