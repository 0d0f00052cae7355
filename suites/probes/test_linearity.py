"""Linearity and symmetry by products: defects at the power are seen, rounding is not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, ggn, hessian, kfac
from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.linearity import linear, symmetric
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import zoo_problem

SEEDS = range(12)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return zoo_problem("mlp-tanh-softmax")


def case_of(problem: Problem, product: Callable[[Tensor, Tensor], Tensor]) -> ProbeCase:
    """A GGN whose products are changed."""

    class Operator:
        def __init__(self, of: Problem) -> None:
            self.dense = ggn(of).dense()
            self.shape = self.dense.shape

        def __matmul__(self, vectors: Tensor) -> Tensor:
            return product(self.dense, vectors)

    return ProbeCase(Subject("operator", Operator, "ggn"), problem, tags_of(problem))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("build", [ggn, hessian, kfac])
def test_right_operators_are_linear_and_symmetric(dtype: torch.dtype, build: Callable[[Problem], Any]) -> None:
    right = zoo_problem("mlp-tanh-softmax", dtype=dtype)
    subject = Subject("right", build, "hessian" if build is hessian else "fisher")
    for measure in (linear, symmetric):
        found = measure(ProbeCase(subject, right, tags_of(right)))
        assert found.holds
        assert found.witness == ""


def remembering() -> Callable[[Tensor, Tensor], Tensor]:
    kept: dict[tuple[int, ...], Tensor] = {}
    return lambda m, v: kept.setdefault(tuple(v.shape), m @ v)


@pytest.mark.parametrize(
    ("product", "says"),
    [
        (lambda m, v: m @ v + 1e-9 * m.abs().max(), "A(x + 2y)"),
        (lambda m, v: m @ (v / torch.linalg.vector_norm(v, dim=0).clamp(min=1e-12)), "A(x + 2y)"),
        (lambda m, v: m @ v.abs(), "A(x + 2y)"),
        (lambda m, v: m @ v + 1e-9 * v.square(), "A(x + 2y)"),
        (lambda m, v: m @ v if v.ndim == 1 else (m @ v[:, :1]).expand_as(v), "A(x + 2y)"),
        (lambda m, v: m @ v if v.ndim == 2 else 1.01 * (m @ v), "A @ (P,) = A @ (P, K)"),
        (lambda m, v: v.copy_(m @ v), "x is left as it was"),
        (remembering(), "Ax"),
    ],
    ids=["offset", "normalised", "absolute", "square", "first column", "single vector", "overwritten", "remembered"],
)
def test_what_is_not_linear_is_seen(problem: Problem, product: Callable[[Tensor, Tensor], Tensor], says: str) -> None:
    found = linear(case_of(problem, product))
    assert not found.holds
    assert says in found.witness


def test_scaling_alone_is_not_what_is_tested(problem: Problem) -> None:
    """An operator that is homogeneous, and odd, and yet not additive."""
    found = linear(
        case_of(problem, lambda m, v: m @ v * (1 + 1e-6 * (v[:1] / v.abs().max(0).values.clamp(min=1e-300)).square()))
    )
    assert not found.holds


def test_tensor_is_linear(problem: Problem) -> None:
    with pytest.raises(NotHere, match="tensor"):
        linear(ProbeCase(Subject("tensor", lambda p: ggn(p).dense(), "ggn"), problem, tags_of(problem)))


def test_products_that_are_not_finite_are_a_failure_of_the_subject(problem: Problem) -> None:
    with pytest.raises(SubjectFailed, match="NaN"):
        symmetric(case_of(problem, lambda m, v: m @ v * float("nan")))


def test_power_is_a_multiple_of_the_bound(problem: Problem) -> None:
    found = symmetric(case_of(problem, torch.matmul))
    assert found.power == pytest.approx(41.84 * found.bound, rel=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_asymmetry_at_the_power_is_seen(problem: Problem, seed: int) -> None:
    """Rank two, the worst case, of the relative size that is promised; and a hundredth of what could be rounding is not."""
    norm = float(ggn(problem).dense().norm())
    uv = directions(problem, 2, "skew", seed)

    def asymmetric(size: float) -> ProbeCase:
        change = low_rank(size * norm * uv, torch.stack([uv[:, 1], -uv[:, 0]], 1) / 8**0.5)
        return altered_case(problem, ggn, change, seed, target="ggn")

    power = symmetric(asymmetric(0)).power
    assert power is not None
    found = symmetric(asymmetric(1.01 * power))
    assert not found.holds
    assert "x'Ay" in found.witness
    assert symmetric(asymmetric(power / 1e4)).holds


def test_asymmetry_is_located(problem: Problem) -> None:
    *_, (name, part) = ProbeCase(Subject("right", ggn, "ggn"), problem, tags_of(problem)).slices().items()

    def lopsided(matrix: Tensor, vectors: Tensor) -> Tensor:
        wrong = matrix.clone()
        wrong[part, part] = matrix[part, part] + 0.01 * matrix[part, part].triu(1)
        return wrong @ vectors

    assert f"the block of {name} is not symmetric" in symmetric(case_of(problem, lopsided)).witness


def test_asymmetry_between_blocks_is_said_to_be_there(problem: Problem) -> None:
    first, last = (0, problem.num_parameters - 1)

    def lopsided(matrix: Tensor, vectors: Tensor) -> Tensor:
        wrong = matrix.clone()
        wrong[first, last] += 0.01 * matrix.norm()
        return wrong @ vectors

    assert "the blocks of parameters are symmetric" in symmetric(case_of(problem, lopsided)).witness


def test_no_more_products_than_said(problem: Problem) -> None:
    case = case_of(problem, torch.matmul)
    case.shared()
    before = case.products
    linear(case)
    assert case.products - before == 4
    symmetric(case)
    assert case.products - before == 4
