"""The eigenvalues of an EKFAC along its own eigenvectors."""

from typing import Any

import pytest
import torch

from fishergauge.reference import Problem, eigen_kfac, kfac
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes.altered_operator import AlteredOperator
from fishergauge.suites.probes.eigenvalues import leading_eigenvalues
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.small_problem import small_problem
from fishergauge.suites.probes.spectral_ends import LEADING
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def case_of(build: Any, problem: Problem, target: Any = "fisher") -> ProbeCase:
    return ProbeCase(Subject("subject", build, target, "eigen-kronecker"), problem, tags_of(problem))


@DTYPES
@pytest.mark.parametrize("bias", ["joint", "separate"])
def test_right_eigenvalues_are_cleared(dtype: torch.dtype, bias: Any) -> None:
    found = leading_eigenvalues(case_of(lambda p: eigen_kfac(p, bias=bias), small_problem(dtype)))
    assert found.holds
    assert found.bound < 0.1


def test_sums_for_eigenvalues_are_seen() -> None:
    found = leading_eigenvalues(case_of(kfac, small_problem()))
    assert found.measured > 0.01 > found.bound
    assert "the exact curvature is" in found.witness


def test_one_eigenvalue_off_by_a_millionth_is_seen() -> None:
    problem = small_problem()
    values, vectors = torch.linalg.eigh(eigen_kfac(problem).dense())
    top = vectors[:, -1:]
    found = leading_eigenvalues(
        case_of(lambda p: AlteredOperator(eigen_kfac(p), lambda v: 1e-6 * float(values[-1]) * top @ (top.T @ v)), problem)
    )
    assert not found.holds
    assert found.measured == pytest.approx(1e-6, rel=1e-3)


def test_eigenvalue_of_several_dimensions_is_left_alone() -> None:
    """The right matrix, but for eigenvectors that no one can tell apart: one process finds one vector, another one another."""
    problem = small_problem()
    values, vectors = torch.linalg.eigh(eigen_kfac(problem).dense())
    level = values.clone()
    level[-3:] = 1.05 * values[-4]
    matrix = vectors @ level.diag() @ vectors.T
    found = leading_eigenvalues(case_of(lambda p: matrix, problem))
    assert found.holds
    assert found.note != f"{LEADING} eigenvectors"


def test_where_none_stands_apart_nothing_is_measured() -> None:
    flat = torch.eye(467, dtype=torch.float64)
    with pytest.raises(NotHere, match="no eigenvector stands so far apart"):
        leading_eigenvalues(case_of(lambda p: flat, small_problem()))
