"""An operator with something added to its products, on which the power of probes is tried."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of

Change = Callable[[Tensor], Tensor]


class AlteredOperator:
    """A matrix whose products are those of another one, and a change.

    Args:
        matrix: with ``shape`` and ``@``.
        change: of the vectors ``(P, K)``, added to the product.
    """

    def __init__(self, matrix: Any, change: Change) -> None:
        self.matrix, self.change = matrix, change
        self.shape = matrix.shape

    def __matmul__(self, vectors: Tensor) -> Tensor:
        if vectors.ndim == 1:
            return (self @ vectors[:, None])[:, 0]
        product: Tensor = self.matrix @ vectors + self.change(vectors)
        return product


def low_rank(left: Tensor, right: Tensor) -> Change:
    """The change by a matrix L R'.

    Args:
        left: L, ``(P, r)``.
        right: R, ``(P, r)``.
    """
    return lambda vectors: left @ (right.T @ vectors)


def altered_case(
    problem: Problem, build: Callable[[Problem], Any], change: Change, seed: int = 0, **declared: Any
) -> ProbeCase:
    """A case of a subject with altered products.

    Args:
        problem: small or large.
        build: ``Problem -> matrix``, the right one.
        change: added to its products.
        seed: of the run.
        declared: as for a subject.
    """
    subject = Subject("altered", lambda p: AlteredOperator(build(p), change), **declared)
    return ProbeCase(subject, problem, tags_of(problem), seed=seed)


def directions(problem: Problem, count: int, *names: object) -> Tensor:
    """Orthonormal vectors ``(P, count)``, drawn from names."""
    source = torch.Generator().manual_seed(sum(ord(c) for c in "/".join(map(str, names))))
    drawn = torch.randn(problem.num_parameters, count, generator=source, dtype=torch.float64)
    orthonormal: Tensor = torch.linalg.qr(drawn)[0].to(problem.vector)
    return orthonormal
