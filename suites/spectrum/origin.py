"""A problem in its original coordinates, with what every comparison needs of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, empirical_fisher, ggn, gradient
from fishergauge.suites.matrix import densified
from fishergauge.suites.precision import converted
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.solution import Solution, solve_on_range

DAMPING = 0.1  # lambda, in units of the mean eigenvalue of the matrix in the original coordinates


@dataclass(frozen=True, eq=False)
class Frame:
    """Some coordinates: what a step in them is made of, and what it is looked at through.

    Args:
        problem: in these coordinates.
        gradient: g, ``(P,)``; ``noise``: what its entries are sums of, in modulus.
        outputs: R, with R'R the Fisher, ``(K, P)`` in float64.
        transform: T, which pushes a step back to the original coordinates, ``(P, P)`` in float64.
    """

    problem: Problem
    gradient: Tensor
    noise: Tensor
    outputs: Tensor
    transform: Tensor

    @classmethod
    def of(cls, problem: Problem, outputs: Tensor, transform: Tensor) -> "Frame":
        """The frame of a problem."""
        return cls(problem, gradient(problem), summands_of_gradient(problem), outputs, transform)

    def stepped(self, approximation: Approximation, raw: Any, magnified: float) -> "Stepped":
        """Matrix and step of an approximation that gives ``raw`` here."""
        matrix = approximation.inverted(densified(raw, self.problem), self.problem)
        solution = solve_on_range(
            matrix, self.gradient, self.outputs, self.transform, self.noise, magnified, approximation.power
        )
        return Stepped(self, raw, matrix, solution)


@dataclass(frozen=True, eq=False)
class Stepped:
    """A matrix in some coordinates and its undamped step.

    Args:
        frame: the coordinates.
        raw: the matrix as the approximation gives it.
        matrix: dense, ``(P, P)``; the one whose inverse is meant.
        solution: the step on the range.
    """

    frame: Frame
    raw: Any
    matrix: Tensor
    solution: Solution


class Origin:
    """The original coordinates.

    Args:
        problem: at parameters theta, with a log-likelihood.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._stepped: dict[Approximation, Stepped | Exception] = {}  # not by name: two of them may share one
        self._magnified: dict[Approximation, float] = {}

    @cached_property
    def frame(self) -> Frame:
        """The problem itself; R is triangular, ``(min(K, P), P)``, made of rows, which keep what their squares lose."""
        rows = torch.cat(list(ggn(converted(self.problem, torch.float64)).rows()))
        identity = torch.eye(self.problem.num_parameters, dtype=torch.float64, device=self.problem.device)
        return Frame.of(self.problem, torch.linalg.qr(rows, mode="r")[1], identity)

    @cached_property
    def values(self) -> Tensor:
        """The outputs of the model."""
        return self.problem.outputs

    def magnified(self, approximation: Approximation) -> float:
        """How far its matrix may be off, in units of rounding."""
        if approximation not in self._magnified:
            self._magnified[approximation] = approximation.magnified(self.problem)
        return self._magnified[approximation]

    def stepped(self, approximation: Approximation) -> Stepped:
        """Matrix and step of an approximation; what it raises is raised each time."""
        if approximation not in self._stepped:
            try:
                raw = approximation.matrix(None, self.problem)
                self._stepped[approximation] = self.frame.stepped(approximation, raw, self.magnified(approximation))
            except Exception as error:
                self._stepped[approximation] = error
        found = self._stepped[approximation]
        if isinstance(found, Exception):
            raise found
        return found


def summands_of_gradient(problem: Problem) -> Tensor:
    r"""An upper bound of the sums of moduli whose cancellation gives the gradient, ``(P,)`` in float64.

    .. math:: \frac{1}{M} \sum_k |g_{ki}| \le \sqrt{\frac{K}{M} \hat F_{ii}}

    with the diagonal of the empirical Fisher, for K terms.
    """
    matrix = empirical_fisher(problem)
    terms = len(matrix.terms.outputs) / float(matrix.terms.divisor)
    return (terms * matrix.diagonal().double()).sqrt()
