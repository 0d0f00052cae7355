"""A problem in its original coordinates, with what every comparison needs of it."""

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, empirical_fisher, ggn, gradient
from fishergauge.suites.matrix import densified
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.solution import Solution, solve_on_range

DAMPING = 0.1  # lambda, in units of the mean eigenvalue of the matrix in the original coordinates


@dataclass(frozen=True, eq=False)
class Stepped:
    """A matrix in some coordinates and its undamped step.

    Args:
        raw: the matrix as the approximation gives it.
        matrix: dense, ``(P, P)``.
        solution: the step on the range.
    """

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
        self._stepped: dict[str, Stepped | Exception] = {}
        self._magnified: dict[str, float] = {}

    @cached_property
    def outputs(self) -> Tensor:
        """R, triangular with R'R the Fisher, ``(min(K, P), P)`` in float64: rows keep what their squares lose."""
        rows = torch.cat(list(ggn(in_double(self.problem)).rows()))
        triangular: Tensor = torch.linalg.qr(rows, mode="r")[1]
        return triangular

    @cached_property
    def gradient(self) -> Tensor:
        """g, ``(P,)``."""
        return gradient(self.problem)

    @cached_property
    def noise(self) -> Tensor:
        """What the entries of the gradient are sums of, in modulus, ``(P,)``."""
        return summands_of_gradient(self.problem)

    @cached_property
    def values(self) -> Tensor:
        """The outputs of the model."""
        return self.problem.outputs

    @cached_property
    def identity(self) -> Tensor:
        """The map of the parameters to themselves, ``(P, P)``."""
        return torch.eye(self.problem.num_parameters, dtype=torch.float64, device=self.problem.device)

    def magnified(self, approximation: Approximation) -> float:
        """How far its matrix may be off, in units of rounding."""
        if approximation.name not in self._magnified:
            self._magnified[approximation.name] = approximation.magnified(self.problem)
        return self._magnified[approximation.name]

    def stepped(self, approximation: Approximation) -> Stepped:
        """Matrix and step of an approximation; what it raises is raised each time."""
        name = approximation.name
        if name not in self._stepped:
            try:
                raw = approximation.matrix(None, self.problem)
                matrix = densified(raw, self.problem)
                solution = solve_on_range(
                    matrix,
                    self.gradient,
                    self.outputs,
                    self.identity,
                    self.noise,
                    magnified=self.magnified(approximation),
                    power=approximation.power,
                )
                self._stepped[name] = Stepped(raw, matrix, solution)
            except Exception as error:
                self._stepped[name] = error
        found = self._stepped[name]
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


def in_double(problem: Problem) -> Problem:
    """The same problem in float64."""
    batches = [(_double(inputs), _double(targets)) for inputs, targets in problem.batches]
    return replace(problem, model=copy.deepcopy(problem.model).double(), batches=batches)


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
