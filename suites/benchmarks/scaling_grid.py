"""The grid on which costs are counted: one of N, P and C varies, the others stay."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.benchmarks.task import Task

FITTED = 3  # points, the largest: terms of lower order have faded there
LARGE = ("diagonal", "factors", "rows", "first-product", "product", "solve", "step")
"""Operations that are counted at more parameters where the quantity keeps no (P, P) array."""


@dataclass(frozen=True)
class Point:
    """A problem of the grid.

    Args:
        x: what varies, at this point.
        widths: of the perceptron; two for softmax regression.
        samples: N.
    """

    x: int
    widths: tuple[int, ...]
    samples: int

    def problem(self) -> Problem:
        """The problem, the same in every run."""
        return perceptron(self.widths, self.samples, f"grid {self.widths} {self.samples}")


@dataclass(frozen=True)
class Axis:
    """Points along which one size varies.

    Args:
        name: ``"N"``, ``"P"``, ``"C"`` or, of softmax regression, ``"D"``.
        family: ``"mlp"`` or ``"softmax"``.
        held: what the other sizes are, for captions.
        points: in increasing order, at least four.
    """

    name: str
    family: str
    held: str
    points: tuple[Point, ...]


def axes_of(task: Task, family: str, matrix_free: bool, quick: bool = False) -> list[Axis]:
    """The axes along which a task is counted.

    Args:
        task: what is done.
        family: ``"mlp"`` or ``"softmax"``.
        matrix_free: whether the quantity keeps no (P, P) array in this operation, so that P can be larger.
        quick: smaller problems.

    Example:
        >>> [(axis.name, [point.x for point in axis.points]) for axis in axes_of(Task("ggn", "dense"), "softmax", False)][0]
        ('N', [128, 256, 512, 1024])
    """
    if family == "softmax":
        return _softmax(quick)
    return _mlp(quick, matrix_free and task.operation in LARGE)


def _softmax(quick: bool) -> list[Axis]:
    part = 2 if quick else 1
    return [
        Axis("N", "softmax", "D = 8, C = 8", _points([128, 256, 512, 1024], part, lambda n: ((8, 8), n))),
        Axis("D", "softmax", "N = 64, C = 4", _points([8, 16, 32, 64], part, lambda d: ((d, 4), 64))),
        Axis("C", "softmax", "N = 64, D = 4", _points([8, 16, 32, 64], part, lambda c: ((4, c), 64))),
    ]


def _mlp(quick: bool, large: bool) -> list[Axis]:
    part = 2 if quick else 1
    hidden = [16, 23, 32, 45, 64] if large else [8, 12, 17, 24, 34]  # P doubles
    return [
        Axis("N", "mlp", "P = 978, C = 10", _points([64, 128, 256, 512], part, lambda n: ((16, 24, 16, 10), n))),
        Axis("P", "mlp", "N = 64, C = 4", tuple(_wide(h) for h in hidden[: len(hidden) - quick])),
        Axis("C", "mlp", "N = 32, P near 1600", tuple(_broad(c) for c in ([4, 8, 16, 24] if quick else [4, 8, 16, 32]))),
    ]


def _points(values: list[int], part: int, at: Callable[[int], tuple[tuple[int, ...], int]]) -> tuple[Point, ...]:
    """A point for each value; smaller ones where they are divided."""
    return tuple(Point(value // part, *at(value // part)) for value in values)


def _wide(hidden: int) -> Point:
    """Two hidden layers as wide as the inputs, four classes."""
    widths = (hidden, hidden, hidden, 4)
    return Point(_count(widths), widths, 64)


def _broad(classes: int, parameters: int = 1600, hidden: int = 16) -> Point:
    """One hidden layer; the inputs are as many as leave the number of parameters where it was, to half a column."""
    inputs = round((parameters - classes * (hidden + 1)) / hidden) - 1
    return Point(classes, (inputs, hidden, classes), 32)


def _count(widths: tuple[int, ...]) -> int:
    """P of a perceptron with biases."""
    return sum(m * (n + 1) for n, m in pairwise(widths))
