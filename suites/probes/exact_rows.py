"""The rows of an exact matrix J' B J, one at a time, and single entries: what is exact about entries of a large matrix."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.linearization import linearization_of
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.worker_process import heartbeat

MOST_ROWS = 640
"""Backward passes that all rows may take; beyond that entries are drawn."""
ENTRIES = 64
"""Entries that are drawn, beside both ends of each parameter."""


def few_rows(case: ProbeCase) -> bool:
    """Whether the target is the sum of few enough outer products of rows."""
    exact = case.exact
    return isinstance(exact, GaussNewton) and exact.root.shape[0] * exact.root.shape[1] <= MOST_ROWS


def rows_of(case: ProbeCase) -> Iterator[Tensor]:
    r"""The rows :math:`b'J / \sqrt M`, each ``(P,)``, made by one backward pass; the matrix is the sum of their outer products.

    Args:
        case: its target is a GGN, a Fisher or an empirical Fisher.
    """
    exact = case.exact
    assert isinstance(exact, GaussNewton)
    linearization, terms = linearization_of(case.problem, exact.terms), exact.terms
    scale = float(terms.divisor) ** -0.5
    for term in range(exact.root.shape[0]):
        for vector in exact.root[term]:
            if bool(vector.any()):
                cotangent = torch.zeros_like(terms.outputs)
                cotangent[term] = scale * vector
                yield linearization.pull(cotangent[None])[0]
                heartbeat()  # all of them may take minutes


def drawn_places(case: ProbeCase) -> Sequence[int]:
    """Both ends of each parameter, and entries that are drawn."""
    ends = {place for part in case.slices().values() for place in (part.start, part.stop - 1)}
    drawn = torch.randint(case.problem.num_parameters, (ENTRIES,), generator=case.generator("entries"))
    return sorted(ends | set(drawn.tolist()))


def unit_vector(case: ProbeCase, place: int) -> Tensor:
    """The unit vector of a place, ``(P,)``."""
    unit = torch.zeros_like(case.problem.vector)
    unit[place] = 1
    return unit


def named_place(case: ProbeCase, place: int) -> str:
    """A place in words: the parameter, and the entry of it."""
    name, part = next((name, part) for name, part in case.slices().items() if part.start <= place < part.stop)
    return f"{name}, entry {place - part.start}"
