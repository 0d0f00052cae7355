"""Small problems for the tests of the spectrum, and what is measured on them."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from fishergauge.reference import FAMILIES, Problem, UnsupportedError, reparametrized
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.approximations import approximations
from fishergauge.suites.spectrum.cell import Cell, measured
from fishergauge.suites.spectrum.measurement import Comparer
from fishergauge.suites.spectrum.models import spectrum_problem
from fishergauge.suites.spectrum.origin import Origin
from fishergauge.suites.spectrum.row import Row

CATALOGUE = approximations()
SMALL: dict[str, tuple[int, int, int]] = {
    "softmax": (5, 3, 40),
    "softmax-reduced": (5, 3, 40),
    "linear-gaussian": (5, 3, 40),
    "mlp": (3, 3, 80),
    "cnn": (16, 3, 60),
}
"""Models of the spectrum with the numbers of features, classes and samples they get here."""
TABLE = 100.0


def data(features: int, classes: int, samples: int) -> tuple[Tensor, Tensor]:
    """Correlated inputs with means other than zero, and labels that depend on them in part."""
    source = generator("small spectrum", features, classes)
    mixing = torch.eye(features).double() + 0.3 * torch.randn(features, features, generator=source).double()
    inputs = torch.randn(samples, features, generator=source).double() @ mixing + 0.4
    scores = inputs[:, :classes] + 2 * torch.randn(samples, classes, generator=source).double()
    return inputs, scores.argmax(1)


@cache
def small(model: str, dtype: torch.dtype = torch.float64) -> Origin:
    """A model of the spectrum on few samples of few features, one and the same for all tests."""
    return Origin(spectrum_problem(model, *data(*SMALL[model]), SMALL[model][1], dtype, "small"))


def rows_of(
    origin: Origin,
    family: str,
    chosen: Sequence[Approximation],
    kappas: Sequence[float] = (),
    table: float = TABLE,
    to_the_end: bool = False,
) -> list[Row]:
    """The rows of some approximations in the coordinates of a family."""
    name = str(origin.problem.dtype).removeprefix("torch.")
    return list(measured(Cell(origin.problem.name, "small", name, family), origin, chosen, kappas, table, to_the_end))


def row_of(origin: Origin, family: str, approximation: Approximation, measure: str = "outputs", kappa: float = TABLE) -> Row:
    """One row."""
    found = [row for row in rows_of(origin, family, [approximation], table=kappa) if row.measure == measure]
    assert len(found) == 1, f"{len(found)} rows of {approximation.name} under {family}"
    return found[0]


@cache
def comparer(model: str, family: str, kappa: float = TABLE, dtype: torch.dtype = torch.float64) -> Comparer:
    """A small problem in the coordinates of a family."""
    origin = small(model, dtype)
    return Comparer(origin, reparametrized(origin.problem, family, kappa))


def families_of(problem: Problem) -> list[str]:
    """The families that have a map for a problem."""
    found = []
    for family in FAMILIES:
        try:
            reparametrized(problem, family, 2.0)
        except UnsupportedError:
            continue
        found.append(family)
    return found
