"""The approximations of the exact Fisher whose quality is compared: those of the kit, and more draws, factors and ranks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from fishergauge.reference import Curvature, Problem, eigen_kfac, kfac, monte_carlo_fisher
from fishergauge.reference.fisher import fisher
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.layers import layers_of
from fishergauge.suites.matrix import densified
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.approximations import approximations

DRAWS = (1, 10, 100)
REPETITIONS = 3
RANKS = (10, 50)
ONE_DRAW = "monte-carlo-fisher"  # the spectrum's, with one common draw; here its draws are repeated


@dataclass(frozen=True)
class Compared:
    """An approximation as it is compared.

    Args:
        name: in tables.
        label: in figures.
        draw: which repetition, for those that are drawn; zero for the others.
        matrix: problem to ``(P, P)``.
    """

    name: str
    label: str
    draw: int
    matrix: Callable[[Problem], Tensor]


def compared(problem: Problem, repetitions: int = REPETITIONS) -> Iterator[Compared]:
    """All approximations that are defined on a problem, the exact Fisher first.

    What the kit's list gains enters by itself. K-FAC reduce is left out where no weight is shared: it is K-FAC expand there.

    Args:
        problem: with a log-likelihood.
        repetitions: how many times each Monte-Carlo Fisher is drawn.
    """
    shared = any(not layer.alone for layer in layers_of(problem))
    for one in approximations().values():
        if one.name != ONE_DRAW and (shared or "reduce" not in one.name):
            yield Compared(one.name, one.label.removesuffix(", pi-damped"), 0, _in_full(one))
    if shared:
        yield Compared(
            "kfac-reduce-separate",
            "K-FAC, reduce, separate bias",
            0,
            lambda p: kfac(p, bias="separate", sharing="reduce").dense(),
        )
        yield Compared("ekfac-reduce", "EKFAC, reduce, joint bias", 0, lambda p: eigen_kfac(p, sharing="reduce").dense())
    yield Compared("kfac-empirical", "K-FAC of the empirical Fisher", 0, lambda p: kfac(p, "empirical-fisher").dense())
    for rank in RANKS:
        yield Compared(f"low-rank-{rank}", f"Fisher, rank {rank}", 0, partial(low_rank, rank=rank))
    for samples in DRAWS:
        for draw in range(repetitions):
            yield Compared(f"monte-carlo-{samples}", f"Monte-Carlo Fisher, S = {samples}", draw, _drawn(samples, draw))


def low_rank(problem: Problem, rank: int) -> Tensor:
    r"""The exact Fisher on its leading eigenvectors, :math:`\sum_{i \le k} \lambda_i u_i u_i'`.

    Args:
        problem: with a log-likelihood.
        rank: k.

    Returns:
        ``(P, P)``, the nearest matrix of rank k in the Frobenius norm.

    Reference:
        Eckart and Young, Psychometrika 1 (1936).
    """
    values, vectors = torch.linalg.eigh(fisher(problem).dense())
    leading = vectors[:, -rank:]
    truncated: Tensor = (leading * values[-rank:]) @ leading.T
    return truncated


def drawn_fisher(problem: Problem, samples: int, source: torch.Generator) -> GaussNewton:
    """The Monte-Carlo Fisher, with the root over S > C draws replaced by its triangular factor of C rows: the same matrix."""
    estimate = monte_carlo_fisher(problem, samples, source)
    if samples <= estimate.root.shape[2]:
        return estimate
    return GaussNewton(problem, estimate.terms, torch.linalg.qr(estimate.root, mode="r").R)


def _in_full(approximation: Approximation) -> Callable[[Problem], Tensor]:
    """The matrix whose damped inverse is meant."""

    def matrix(problem: Problem) -> Tensor:
        built = approximation.build(problem, problem)
        whole = built.dense() if isinstance(built, Curvature) else densified(built, problem)
        return approximation.inverted(whole, problem)

    return matrix


def _drawn(samples: int, draw: int) -> Callable[[Problem], Tensor]:
    def matrix(problem: Problem) -> Tensor:
        source = generator("quality draws", problem.name, samples, draw, device=str(problem.device))
        return drawn_fisher(problem, samples, source).dense()

    return matrix
