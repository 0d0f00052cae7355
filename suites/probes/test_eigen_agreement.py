"""The eigenbasis of an EKFAC by products."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, eigen_kfac, kfac
from fishergauge.suites import variants
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes import eigen_agreement
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.eigen_agreement import COLUMNS, best_diagonal, commutes
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Bias, Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem


@pytest.fixture(scope="module")
def problem() -> Problem:
    return zoo_problem("mlp-tanh-softmax")


def case_of(problem: Problem, bias: Bias | None, build: object) -> ProbeCase:
    return ProbeCase(Subject("ekfac", build, structure="eigen-kronecker", bias=bias), problem, tags_of(problem))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("bias", ["joint", "separate", None])
def test_right_eigenbasis_holds(bias: Bias | None, dtype: torch.dtype) -> None:
    right = zoo_problem("mlp-tanh-softmax", dtype=dtype)
    found = commutes(case_of(right, bias, lambda p: eigen_kfac(p, bias=bias or "separate")))
    assert found.holds, found.witness
    assert found.witness == ""


def test_any_diagonal_in_the_basis_holds(problem: Problem) -> None:
    """K-FAC itself is one; its eigenvalues are another probe's."""
    assert commutes(case_of(problem, "joint", kfac)).holds


def rotated(problem: Problem, side: str) -> Tensor:
    """Eigenvectors transposed, of one factor."""
    matrix = eigen_kfac(problem)
    for piece in matrix.eigen:
        setattr(piece, side, getattr(piece, side).T.contiguous())
    return matrix.dense()


@pytest.mark.parametrize(("side", "factor"), [("outer", "G"), ("inner", "A")])
def test_transposed_eigenvectors_are_seen(problem: Problem, side: str, factor: str) -> None:
    found = commutes(case_of(problem, "joint", lambda p: rotated(p, side)))
    assert not found.holds
    assert f"does not commute with {factor}" in found.witness


def test_bias_against_its_declaration_is_seen(problem: Problem) -> None:
    assert not commutes(case_of(problem, "joint", lambda p: eigen_kfac(p, bias="separate"))).holds


@pytest.mark.parametrize("seed", range(8))
def test_commutator_at_the_power_is_seen(problem: Problem, seed: int) -> None:
    """A change of rank one, scaled so that its own commutator with the outer factors has the size that is promised."""
    matrix, factored = eigen_kfac(problem), kfac(problem)
    norm, uv = float(matrix.dense().norm()), directions(problem, 2, "eigen", seed)
    factor = torch.zeros_like(matrix.dense())
    for piece in factored.kronecker:
        index = piece.index.flatten()
        outer = piece.output_factor / piece.output_factor.abs().sum(1).max()
        factor[index[:, None], index] = torch.kron(outer, torch.eye(piece.index.shape[1], dtype=outer.dtype))
    change = torch.outer(uv[:, 0], uv[:, 1])
    commutator = float((change @ factor - factor @ change).norm())

    def case(size: float) -> ProbeCase:
        left = size * norm / commutator * uv[:, :1]
        return altered_case(problem, eigen_kfac, low_rank(left, uv[:, 1:]), seed, structure="eigen-kronecker", bias="joint")

    power = commutes(case(0)).power
    assert power is not None
    assert not commutes(case(1.1 * power)).holds
    assert commutes(case(power / 1e5)).holds


def test_number_of_products(problem: Problem) -> None:
    case = case_of(problem, "joint", eigen_kfac)
    commutes(case)
    assert case.products == 8 + 2 * COLUMNS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("bias", ["joint", "separate", None])
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-sigmoid-binary", "mlp-tanh-gaussian", "two-classes-sum"])
def test_right_eigenvalues_hold(name: str, bias: Bias | None, dtype: torch.dtype) -> None:
    """Of a subject that adds in another order, so that its factors round differently."""

    def build(p: Problem) -> object:
        other = variants.shuffled(p, torch.Generator().manual_seed(1))
        return eigen_kfac(other, bias=bias or "separate")

    found = best_diagonal(case_of(catalogue_problem(name, dtype), bias, build))
    assert found.holds, found.witness
    assert found.measured > 0
    assert found.witness == ""


@pytest.mark.parametrize("change", [lambda s: s.flip(0), lambda s: 1.01 * s, torch.sqrt], ids=["reversed", "scaled", "roots"])
def test_wrong_eigenvalues_are_seen_and_commute(problem: Problem, change: Callable[[Tensor], Tensor]) -> None:
    def build(p: Problem) -> object:
        matrix = eigen_kfac(p)
        matrix.eigen[0].values = change(matrix.eigen[0].values)
        return matrix

    assert commutes(case_of(problem, "joint", build)).holds
    found = best_diagonal(case_of(problem, "joint", build))
    assert not found.holds
    assert next(iter(problem.parameters)).partition(".")[0] in found.witness


def test_kfac_is_no_ekfac(problem: Problem) -> None:
    assert not best_diagonal(case_of(problem, "joint", kfac)).holds


def test_basis_that_is_not_determined_is_left_out(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eigen_agreement, "UNDETERMINED", 1.0)
    with pytest.raises(NotHere, match="too close"):
        best_diagonal(case_of(problem, "joint", eigen_kfac))


@pytest.mark.parametrize("seed", range(6))
def test_eigenvalues_off_by_the_power_are_seen(problem: Problem, seed: int) -> None:
    norm, uv = float(eigen_kfac(problem).dense().norm()), directions(problem, 2, "values", seed)

    def case(size: float) -> ProbeCase:
        change = low_rank(size * norm * uv[:, :1], uv[:, 1:])
        return altered_case(problem, eigen_kfac, change, seed, structure="eigen-kronecker", bias="joint")

    power = best_diagonal(case(0)).power
    assert power is not None
    assert not best_diagonal(case(1.01 * power)).holds
    assert best_diagonal(case(power / 1e4)).holds
