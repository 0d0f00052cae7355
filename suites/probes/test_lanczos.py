"""The Lanczos process: against eigsh, on spaces that close, and what it sees with which probability."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from fishergauge.suites.probes.lanczos import Krylov, extreme_interval, lanczos, seen_negative
from fishergauge.suites.seeding import generator

SIZE = 200
WIDE = torch.float64


def drawn(*names: object, size: int = SIZE, columns: int = 1) -> Tensor:
    """Standard normal numbers, ``(size, columns)`` or ``(size,)``."""
    return torch.randn(size, columns, generator=generator("lanczos", *names), dtype=WIDE).squeeze(1)


def symmetric_matrix(values: Tensor, *names: object) -> Tensor:
    basis = torch.linalg.qr(drawn(*names, size=len(values), columns=len(values)))[0]
    matrix: Tensor = basis @ values.diag() @ basis.T
    return matrix


def of(matrix: Tensor, steps: int, start: Tensor | None = None) -> Krylov:
    start = drawn("start", size=len(matrix)).to(matrix) if start is None else start
    return lanczos(lambda v: matrix @ v, start, steps, generator("fresh"))


def test_ends_of_the_spectrum_are_those_of_eigsh() -> None:
    values = torch.cat([torch.linspace(0, 1, SIZE - 3, dtype=WIDE), torch.tensor([3.0, 2.0, -1.0], dtype=WIDE)])
    matrix = symmetric_matrix(values, "eigsh")
    operator = LinearOperator((SIZE, SIZE), matvec=lambda v: matrix.numpy() @ v, dtype=np.float64)
    expected = eigsh(operator, 2, which="BE", v0=drawn("start").numpy(), return_eigenvectors=False)
    found, _ = of(matrix, 60).ritz()
    assert [float(found[0]), float(found[-1])] == pytest.approx(sorted(expected), rel=1e-12)


def test_ritz_vector_has_the_quotient_of_its_ritz_value() -> None:
    matrix = symmetric_matrix(torch.linspace(-1, 1, SIZE, dtype=WIDE), "quotient")
    krylov = of(matrix, 20)
    values, coefficients = krylov.ritz()
    vector = krylov.vector(coefficients[:, 0])
    assert float(vector @ matrix @ vector) == pytest.approx(float(values[0]), rel=1e-12)
    assert float(vector.norm()) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_basis_stays_orthonormal_after_ritz_values_have_converged(dtype: torch.dtype) -> None:
    values = torch.full((SIZE,), 1e-3, dtype=WIDE)
    values[:5] = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    values[5:] += torch.linspace(0, 1e-4, SIZE - 5, dtype=WIDE)
    basis = of(symmetric_matrix(values, "outliers").to(dtype), 60).basis
    gram = basis.double() @ basis.double().T
    assert float((gram - torch.eye(60, dtype=WIDE)).abs().max()) < 64 * torch.finfo(dtype).eps


def test_goes_on_with_a_fresh_vector_where_the_space_is_invariant() -> None:
    values = torch.zeros(SIZE, dtype=WIDE)
    values[:2] = torch.tensor([1.0, -0.5])
    matrix = symmetric_matrix(values, "rank two")
    krylov = of(matrix, 12)
    found, _ = krylov.ritz()
    assert krylov.steps == 12
    assert float((krylov.basis @ matrix @ krylov.basis.T - krylov.projected).norm()) < 1e-13
    assert [float(found[0]), float(found[-1])] == pytest.approx([-0.5, 1.0], abs=1e-13)


def test_zero_matrix_has_zero_ritz_values() -> None:
    krylov = of(torch.zeros(SIZE, SIZE, dtype=WIDE), 6)
    assert krylov.finite
    assert float(krylov.ritz()[0].abs().max()) == 0


def test_steps_end_at_the_size_and_give_all_eigenvalues() -> None:
    values = torch.tensor([-1.0, 0.5, 2.0, 7.0], dtype=WIDE)
    krylov = of(symmetric_matrix(values, "small"), 30)
    assert krylov.ritz()[0].tolist() == pytest.approx(values.tolist())


def test_of_a_matrix_that_is_not_symmetric_the_symmetric_part_is_projected() -> None:
    matrix = drawn("lopsided", columns=SIZE)
    krylov = of(matrix, 15)
    inside = krylov.basis @ (matrix + matrix.T) @ krylov.basis.T / 2
    assert krylov.ritz()[0].tolist() == pytest.approx(torch.linalg.eigvalsh(inside).tolist())


def test_takes_as_many_products_as_steps() -> None:
    calls = []

    def multiply(vector: Tensor) -> Tensor:
        calls.append(vector.shape)
        return 2 * vector

    lanczos(multiply, drawn("count"), 7, generator("fresh"))
    assert calls == [(SIZE,)] * 7


def test_overflow_is_said_and_ends_the_process() -> None:
    start = drawn("start").float()
    krylov = lanczos(lambda v: 1e20 * (1e20 * torch.roll(v, 1)), start, 10, generator("fresh"))
    assert not krylov.finite
    assert bool(krylov.projected.isfinite().all())


def worst_spectrum(size: int, steps: int, negative: float) -> Tensor:
    """One negative eigenvalue, and the others at the places where Chebyshev's polynomial is one."""
    places = torch.cos(math.pi * torch.arange(steps, dtype=WIDE) / (2 * steps - 1)).square()
    return torch.cat([torch.tensor([-negative], dtype=WIDE), places.repeat(size // steps + 1)[: size - 1]])


def missed_negative(values: Tensor, steps: int, repetitions: int = 400) -> float:
    """How often no Ritz value of the diagonal matrix is negative."""
    found = [
        float(lanczos(lambda v: values * v, drawn("seen", r, size=len(values)), steps, generator("fresh")).ritz()[0][0])
        for r in range(repetitions)
    ]
    return sum(value >= 0 for value in found) / repetitions


@pytest.mark.parametrize("steps", [3, 6])
def test_negative_eigenvalue_of_the_size_of_the_power_is_missed_no_more_often_than_said(steps: int) -> None:
    power = seen_negative(SIZE, steps, missed=0.1)
    assert missed_negative(worst_spectrum(SIZE, steps, power), steps) <= 0.1 + 3 * (0.1 * 0.9 / 400) ** 0.5


def test_power_is_not_far_from_what_the_worst_spectrum_needs() -> None:
    power = seen_negative(SIZE, 6, missed=0.1)
    assert missed_negative(worst_spectrum(SIZE, 6, power / 4), 6) > 0.2


def test_power_with_a_bound_is_beyond_the_bound() -> None:
    assert seen_negative(10_000, 40, 0.01) > 0.01 + seen_negative(10_000, 40)
    assert seen_negative(40, 40, 0.01) == 0.01


def test_smallest_eigenvalue_lies_in_its_interval() -> None:
    values = torch.linspace(-0.2, 1, SIZE, dtype=WIDE)
    inside = []
    for repetition in range(200):
        krylov = lanczos(lambda v: values * v, drawn("interval", repetition), 12, generator("fresh"))
        low, high = extreme_interval(krylov, SIZE, missed=0.1)
        inside.append(low <= -0.2 <= high)
        assert math.isfinite(low)
    assert sum(inside) / len(inside) >= 0.9


def test_few_steps_say_nothing_about_the_lower_end() -> None:
    assert extreme_interval(of(torch.eye(SIZE, dtype=WIDE), 2), SIZE)[0] == -math.inf
