"""Damped steps by conjugate gradients: the solution, within the products that the bound promises."""

import math

import pytest
import torch
from torch import Tensor

from fishergauge.suites.closeness import assert_close
from fishergauge.suites.probes.conjugate import TOLERANCE, damped_step, tolerance_of
from fishergauge.suites.seeding import generator

SIZE = 200


def matrix_of(values: Tensor) -> Tensor:
    basis = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator("basis"), dtype=torch.float64))[0]
    made: Tensor = basis * values @ basis.T
    return made


@pytest.mark.parametrize("relative", [1.0, 0.1, 1e-3])
def test_the_solution_is_met_within_the_promised_products_on_the_hardest_spectrum(relative: float) -> None:
    """Eigenvalues at the nodes of Chebyshev, on which conjugate gradients are as slow as they may be."""
    nodes = torch.cos(math.pi * (torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE)
    matrix = matrix_of((1 + nodes) / 2)
    right = torch.randn(SIZE, generator=generator("right"), dtype=torch.float64)
    found = damped_step(lambda v: matrix @ v, right, relative, 1.0)
    assert found.reason == "residual"
    root = math.sqrt(1 + 1 / relative)
    assert found.products <= math.ceil(root / 2 * math.log(2 * root / TOLERANCE))
    expected = torch.linalg.solve(matrix + relative * torch.eye(SIZE, dtype=torch.float64), right)
    deviation = float((found.solution - expected).norm() / expected.norm())
    assert deviation <= 2 * TOLERANCE * root**2


def test_a_norm_that_is_too_small_ends_the_iterations() -> None:
    matrix = matrix_of(torch.logspace(0, -6, SIZE, dtype=torch.float64))
    right = torch.randn(SIZE, generator=generator("right"), dtype=torch.float64)
    found = damped_step(lambda v: matrix @ v, right, 1e-6, 1e-6)
    assert found.reason == "iterations"
    assert found.products < 100


def test_negative_curvature_is_said() -> None:
    found = damped_step(lambda v: -v, torch.ones(3, dtype=torch.float64), 0.5, 1.0)
    assert found.reason == "curvature"


def test_products_in_single_precision_are_good_for_their_tolerance() -> None:
    matrix = matrix_of(torch.logspace(0, -3, SIZE, dtype=torch.float64))
    right = torch.randn(SIZE, generator=generator("right"), dtype=torch.float64)
    tolerance = tolerance_of(torch.float32)
    found = damped_step(lambda v: (matrix.float() @ v.float()).double(), right, 0.1, 1.0, tolerance)
    assert found.reason == "residual"
    expected = torch.linalg.solve(matrix + 0.1 * torch.eye(SIZE, dtype=torch.float64), right)
    assert_close(found.solution.float(), expected, "the solution", condition=11)
    assert tolerance_of(torch.float64) == TOLERANCE < tolerance
