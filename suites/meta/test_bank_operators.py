"""Planted defects that are more than a wrong matrix: subjects with a memory, operators, damped inverses."""

from functools import cache

import pytest
import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reference.kfac import pi_of
from fishergauge.suites.closeness import relative_deviation
from fishergauge.suites.matrix import densified
from fishergauge.suites.meta.bank import BANK, CHAPTERS, Defect
from fishergauge.suites.meta.bank.operators import Described, Operator
from fishergauge.suites.meta.bank.pieces import pieces_of
from fishergauge.suites.meta.bank.solving import factored_damping, solved
from fishergauge.suites.zoo import CATALOGUE

PROBLEM = "mlp-tanh-gaussian"


@cache
def problem_named(name: str) -> Problem:
    return CATALOGUE[name].build()


@pytest.mark.parametrize("id", ["D38", "D39", "P182", "P183"])
def test_a_subject_with_a_memory_repeats_itself_wrongly(id: str) -> None:
    problem, subject = problem_named(PROBLEM), BANK[id].make()
    first, again = subject.build(problem), densified(subject.build(problem), problem)
    if id == "D38":
        assert relative_deviation(densified(first, problem), densified(first, problem)) > 1e-5
        return
    assert relative_deviation(first, again) > 1e-7 or id == "P182"
    right = pieces_of(problem).right(subject)
    assert relative_deviation(again, right) > 1e-7


@pytest.mark.parametrize("id", ["P180", "P181"])
def test_a_subject_with_a_memory_is_wrong_at_other_parameters(id: str) -> None:
    problem, subject = problem_named(PROBLEM), BANK[id].make()
    moved = problem.at(2 * problem.vector)
    assert relative_deviation(subject.build(problem), reference.ggn(problem).dense()) < 1e-12
    assert relative_deviation(subject.build(moved), reference.ggn(moved).dense()) > 0.1


def symptoms(operator: object, matrix: Tensor) -> set[str]:
    """What is inconsistent about an operator."""
    found, size = set(), len(matrix)
    source = torch.Generator().manual_seed(2)
    one, other = torch.randn(2, size, generator=source, dtype=matrix.dtype)

    def apply(vectors: Tensor) -> Tensor:
        if hasattr(operator, "matvec"):
            return torch.as_tensor(operator @ vectors.numpy())
        result: Tensor = operator @ vectors.clone()  # type: ignore[operator]
        return result

    def far(actual: Tensor, expected: Tensor) -> bool:
        return float((actual - expected).norm()) > 1e-9 * float(matrix.norm())

    products = apply(one), apply(other)
    pair = apply(torch.stack([one, other], 1))
    found |= {"product"} if far(products[0], matrix @ one) else set()
    found |= {"several"} if far(pair, torch.stack([matrix @ one, matrix @ other], 1)) else set()
    found |= {"linear"} if far(apply(one + other), products[0] + products[1]) else set()
    found |= {"zero"} if far(apply(0 * one), 0 * one) else set()
    found |= {"symmetric"} if far(other @ products[0], one @ products[1]) else set()
    for what, expected in (("diagonal", matrix.diagonal()), ("trace", matrix.trace())):
        if hasattr(operator, what) and far(getattr(operator, what)(), expected):
            found.add(what)
    if hasattr(operator, "solve"):
        damped = matrix + 0.1 * torch.eye(size, dtype=matrix.dtype)
        found |= {"solve"} if far(damped @ operator.solve(one, 0.1), one) else set()
    if isinstance(operator, Operator):
        vector = one.clone()
        _ = operator @ vector
        found |= {"vector"} if far(vector, one) else set()
    return found


OPERATORS = {
    "D17": {"diagonal"}, "D45": {"product", "several", "linear", "zero"}, "P190": {"symmetric"}, "P191": {"linear", "zero"},
    "P192": {"several"}, "P193": {"linear"}, "P194": {"symmetric"}, "P195": {"linear"}, "P196": {"product"}, "P197": {"linear"},
    "P198": {"vector"}, "P199": {"diagonal"}, "P200": {"trace"}, "P201": {"solve"},
}  # fmt: skip


@pytest.mark.parametrize("id", OPERATORS)
def test_an_operator_is_inconsistent_as_it_says(id: str) -> None:
    problem = problem_named(PROBLEM)
    found = symptoms(BANK[id].make().build(problem), reference.ggn(problem).dense())
    assert OPERATORS[id] <= found
    if "product" not in found:
        assert len(found - {"symmetric", "zero"}) <= 2


def test_every_operator_of_the_bank_is_examined_and_a_right_one_shows_nothing() -> None:
    assert OPERATORS.keys() == {defect.id for defect in CHAPTERS["operators"]}
    problem = problem_named(PROBLEM)
    assert not symptoms(Described(problem), reference.ggn(problem).dense())


def residual(solve: object, matrix: object, problem: Problem) -> float:
    """The relative residual of a damped solution."""
    right = torch.linspace(-1, 1, problem.num_parameters, dtype=problem.dtype)
    solution = solve(matrix, right.clone(), 0.05)  # type: ignore[operator]
    dense = densified(matrix, problem)
    return relative_deviation(dense @ solution + 0.05 * solution, right)


@pytest.mark.parametrize("defect", [d for d in CHAPTERS["solving"] if d.make().structure == "dense"], ids=lambda d: d.id)
def test_a_solution_solves_nothing(defect: Defect) -> None:
    problem, subject = problem_named(PROBLEM), defect.make()
    assert residual(subject.solve, subject.build(problem), problem) > 1e-8
    assert residual(solved, subject.build(problem), problem) < 1e-12


@pytest.mark.parametrize("id", ["D40", "P219", "P220"])
def test_factored_damping_is_unbalanced(id: str) -> None:
    problem, subject = problem_named("deep-linear-three"), BANK[id].make()
    assert subject.solve is not None
    matrix, right = subject.build(problem), torch.linspace(-1, 1, problem.num_parameters, dtype=problem.dtype)
    expected = matrix.solve(right, 0.05)
    balanced = factored_damping(lambda piece: pi_of(piece.input_factor, piece.output_factor))
    assert relative_deviation(balanced(matrix, right, 0.05), expected) < 1e-12
    assert relative_deviation(subject.solve(matrix, right, 0.05), expected) > 1e-3
