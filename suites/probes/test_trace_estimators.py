"""Estimators of traces and norms: right on average, their intervals cover, and which of them pays where."""

import math
from functools import lru_cache

import pytest
import torch
from torch import Tensor

from fishergauge.suites.probes.quadratic_forms import hutchinson
from fishergauge.suites.probes.trace_estimators import DEPENDENCE, norm_ratio, orthonormal, xtrace
from fishergauge.suites.seeding import generator

SIZE, COLUMNS, REPETITIONS = 120, 8, 250
WIDE = torch.float64


def spectrum(name: str) -> Tensor:
    places = torch.arange(1, SIZE + 1, dtype=WIDE)
    one = torch.full((SIZE,), 1e-3, dtype=WIDE)
    one[0] = 1
    ten = torch.full((SIZE,), 0.02, dtype=WIDE)
    ten[:10] = torch.linspace(1, 0.3, 10, dtype=WIDE)
    signs = torch.where(places % 2 == 0, -1.0, 1.0).double()
    return {"one": one, "ten": ten, "decaying": 1 / places, "either sign": signs * (1 + 1 / places), "level": 1 + 1 / places}[
        name
    ]


NAMES = ("one", "ten", "decaying", "either sign", "level")


def matrix_of(name: str, turn: int = 0) -> Tensor:
    basis = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=generator("basis", turn), dtype=WIDE))[0]
    matrix: Tensor = basis @ spectrum(name).diag() @ basis.T
    return matrix


def normal(*names: object, columns: int = COLUMNS) -> Tensor:
    return torch.randn(SIZE, columns, generator=generator("estimators", *names), dtype=WIDE)


def covered(inside: list[bool], nominal: float = 0.95) -> bool:
    """Whether the share is that of an interval of this confidence, up to three standard errors."""
    return sum(inside) / len(inside) >= nominal - 3 * math.sqrt(nominal * (1 - nominal) / len(inside))


@lru_cache
def traces(name: str) -> tuple[Tensor, list[bool], float]:
    """XTrace's estimates, whether their intervals cover, and the trace."""
    matrix, right = matrix_of(name), float(spectrum(name).sum())
    found = []
    for repetition in range(REPETITIONS):
        vectors = normal(name, repetition)
        found.append(xtrace(lambda v: matrix @ v, vectors, matrix @ vectors))
    inside = [e.interval[0] <= right <= e.interval[1] for e in found]
    return torch.tensor([e.value for e in found], dtype=WIDE), inside, right


@pytest.mark.parametrize("name", NAMES)
def test_xtrace_is_unbiased_and_its_interval_covers(name: str) -> None:
    values, inside, right = traces(name)
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean()) - right) <= 5 * error + 1e-12
    assert covered(inside)


def test_xtrace_of_a_matrix_that_is_not_symmetric_is_unbiased() -> None:
    matrix = matrix_of("decaying") @ matrix_of("ten", turn=1)
    found = [xtrace(lambda v: matrix @ v, x, matrix @ x).value for x in (normal("lopsided", r) for r in range(REPETITIONS))]
    values = torch.tensor(found, dtype=WIDE)
    assert abs(float(values.mean() - matrix.trace())) <= 5 * float(values.std()) / math.sqrt(len(values))


def test_xtrace_is_the_mean_over_what_is_left_out() -> None:
    """The definition, with a basis of its own for each vector that is left out, of a matrix that is not symmetric."""
    matrix, vectors = matrix_of("decaying") @ matrix_of("ten", turn=1), normal("definition")
    products, found = matrix @ vectors, []
    for left_out in range(COLUMNS):
        kept = [i for i in range(COLUMNS) if i != left_out]
        basis = torch.linalg.qr(products[:, kept])[0]
        rest = vectors[:, left_out] - basis @ (basis.T @ vectors[:, left_out])
        scale = (SIZE - COLUMNS + 1) / (rest @ rest)
        found.append(float((basis.T @ matrix @ basis).trace() + scale * (rest @ matrix @ rest)))
    expected = torch.tensor(found, dtype=WIDE)
    estimate = xtrace(lambda v: matrix @ v, vectors, products)
    assert estimate.value == pytest.approx(float(expected.mean()), rel=1e-10)
    width = 2 * DEPENDENCE * 2.3646 * float(expected.std()) / COLUMNS**0.5  # t of 7 degrees of freedom at 97.5 %
    assert estimate.interval[1] - estimate.interval[0] == pytest.approx(width, rel=1e-4)


@pytest.mark.parametrize("rank", [0, 1, 5])
def test_xtrace_is_exact_for_a_rank_below_the_number_of_vectors(rank: int) -> None:
    values = torch.zeros(SIZE, dtype=WIDE)
    values[:rank] = torch.arange(1, rank + 1, dtype=WIDE)
    basis = torch.linalg.qr(normal("low rank", columns=SIZE))[0]
    matrix, vectors = basis @ values.diag() @ basis.T, normal("vectors")
    found = xtrace(lambda v: matrix @ v, vectors, matrix @ vectors)
    assert found.value == pytest.approx(float(values.sum()), abs=1e-12)
    assert found.interval == (found.value, found.value)


def test_xtrace_pays_where_the_spectrum_decays_and_costs_little_where_it_does_not() -> None:
    def spread(name: str) -> tuple[float, float]:
        matrix = matrix_of(name)
        forms = [hutchinson(x, matrix @ x).trace for x in (normal("plain", name, r, columns=16) for r in range(200))]
        return float(traces(name)[0].std()), float(torch.tensor(forms).std())

    decaying, plain = spread("decaying")
    assert decaying < 0.8 * plain
    one, plain = spread("one")
    assert one < 0.01 * plain
    either, plain = spread("either sign")
    assert plain < either < 2 * plain


@pytest.mark.parametrize("name", NAMES)
def test_hutchinson_has_the_variance_of_the_formula(name: str) -> None:
    matrix, values = matrix_of(name), spectrum(name)
    found = torch.tensor([hutchinson(x, matrix @ x).trace for x in (normal("h", name, r) for r in range(REPETITIONS))])
    expected = float((2 * values.square().sum() / COLUMNS).sqrt())
    assert abs(float(found.mean()) - float(values.sum())) <= 5 * expected / math.sqrt(REPETITIONS)
    assert float(found.std()) == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("above", NAMES)
@pytest.mark.parametrize("below", ["one", "ten", "level"])
def test_interval_of_a_quotient_of_norms_covers(above: str, below: str) -> None:
    upper, lower = matrix_of(above, turn=1), matrix_of(below)
    right = float(upper.norm() / lower.norm())
    found = [norm_ratio(upper @ x, lower @ x) for x in (normal("ratio", above, below, r) for r in range(REPETITIONS))]
    assert covered([e.interval[0] <= right <= e.interval[1] for e in found])


def test_quotient_of_multiples_is_exact() -> None:
    lower = matrix_of("ten") @ normal("multiple")
    found = norm_ratio(3 * lower, lower)
    assert found.value == pytest.approx(3)
    assert found.interval[1] - found.interval[0] < 1e-12


def test_quotient_by_zero_is_no_number() -> None:
    zero = torch.zeros(SIZE, COLUMNS, dtype=WIDE)
    assert math.isnan(norm_ratio(normal("over zero"), zero).value)
    assert norm_ratio(zero, normal("under zero")).interval == (0.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_orthonormal_columns_give_back_what_is_independent(dtype: torch.dtype) -> None:
    columns = normal("columns").to(dtype)
    columns[:, 3] = 2 * columns[:, 0] - columns[:, 1]
    basis, upper = orthonormal(columns)
    assert basis.shape == (SIZE, COLUMNS - 1)
    assert float((basis.double() @ upper - columns.double()).norm()) < 64 * torch.finfo(dtype).eps * float(columns.norm())
    gram = basis.double().T @ basis.double()
    assert float((gram - torch.eye(COLUMNS - 1, dtype=WIDE)).abs().max()) < 64 * torch.finfo(dtype).eps
