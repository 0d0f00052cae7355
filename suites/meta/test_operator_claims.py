"""Operators are examined in every form that they offer."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, ggn
from fishergauge.suites import Subject, check

PROBLEM = "mlp-tanh-softmax"


class Operator:
    """Right in every form; the subclasses are wrong in one."""

    def __init__(self, problem: Problem) -> None:
        self.matrix = ggn(problem).dense()
        self.shape = self.matrix.shape

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.matrix @ other

    def diagonal(self) -> Tensor:
        return self.matrix.diagonal()

    def trace(self) -> Tensor:
        return self.matrix.trace()

    def to_dense(self) -> Tensor:
        return self.matrix

    def _solved(self, right: Tensor, damping: float) -> Tensor:
        solution: Tensor = torch.linalg.solve(self.matrix + damping * torch.eye(len(right), dtype=right.dtype), right)
        return solution


class WrongForOne(Operator):
    """Right for (P, K)."""

    def __matmul__(self, other: Tensor) -> Tensor:
        return (1.5 if other.ndim == 1 else 1.0) * (self.matrix @ other)


class ColumnForOne(Operator):
    """(P, 1) for (P,)."""

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.matrix @ other.reshape(len(other), -1)


class Grows(Operator):
    """Damping added in place."""

    def __matmul__(self, other: Tensor) -> Tensor:
        self.matrix = self.matrix + 1e-3 * torch.eye(len(self.matrix), dtype=self.matrix.dtype)
        return self.matrix @ other


class Shifted(Operator):
    """A(0) is not zero."""

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.matrix @ other + 1e-3


class WrongTrace(Operator):
    """The trace over P."""

    def trace(self) -> Tensor:
        return self.matrix.trace() / len(self.matrix)


class WrongDense(Operator):
    """The dense form lacks its scale."""

    def to_dense(self) -> Tensor:
        return 2 * self.matrix


class WantsArguments(Operator):
    """A method of that name which means something else says nothing."""

    def trace(self, k: int) -> Tensor:  # type: ignore[override]
        return self.matrix.trace() * k


class Overwrites(Operator):
    """Writes the product where the vector was."""

    def __matmul__(self, other: Tensor) -> Tensor:
        return other.copy_(self.matrix @ other)


class Solves(Operator):
    """Right, with damping."""

    def solve(self, right: Tensor, damping: float = 0.0) -> Tensor:
        return self._solved(right, damping)


class IgnoresDamping(Operator):
    """Solves with a damping of its own."""

    def solve(self, right: Tensor, damping: float = 0.0) -> Tensor:
        return self._solved(right, 1e-3)


WRONG: dict[type[Operator], str] = {
    WrongForOne: "T26-linear",
    ColumnForOne: "T26-linear",
    Grows: "T26-linear",
    Shifted: "T26-linear",
    Overwrites: "T26-linear",
    IgnoresDamping: "T26-representations",
    WrongTrace: "T26-representations",
    WrongDense: "T26-representations",
}


def _red(kind: Any) -> set[str]:
    subject = Subject("mine", kind, target="ggn", structure="none")
    report = check(subject, problems=PROBLEM, claims="T26-linear,T26-representations", isolate=False)
    assert report.records
    return {record.claim for record in report.red}


@pytest.mark.parametrize("kind", [Operator, WantsArguments, Solves])
def test_a_right_operator_is_cleared(kind: type[Operator]) -> None:
    assert _red(kind) == set()


@pytest.mark.parametrize("kind", WRONG)
def test_one_wrong_form_is_seen(kind: type[Operator]) -> None:
    assert WRONG[kind] in _red(kind)
