"""The algorithms of the notebooks as implementations: softmax regression without a bias alone."""

import copy
from collections.abc import Callable

from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks import notebook_algorithms as notebook
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.of_reference import not_softmax_regression
from fishergauge.suites.benchmarks.task import Task

Matrix = Callable[[nn.Module, Problem], Tensor]

MATRICES: dict[tuple[str, str], Matrix] = {
    ("fisher", "notebook:loop"): lambda model, problem: notebook.compute_fisher_analytic(model, problem.inputs),
    ("fisher", "notebook:einsum"): lambda model, problem: notebook.compute_exact_fisher(model, problem.inputs),
    ("kfac", "notebook"): lambda model, problem: notebook.compute_kfac_fisher(model, problem.inputs),
    ("empirical-fisher", "notebook"): lambda model, problem: notebook.compute_empirical_fisher(
        model, problem.inputs, problem.targets
    ),
}


def implementations() -> list[Implementation]:
    """The dense matrices of the notebooks: of E1 (the loop) and of E4 (the others)."""
    return [
        Implementation(name, "notebook", Task(quantity, "dense"), _prepared(matrix), refuses=not_softmax_regression)
        for (quantity, name), matrix in MATRICES.items()
    ]


def _prepared(matrix: Matrix) -> Callable[[Problem], Call]:
    def prepare(problem: Problem) -> Call:
        model = copy.deepcopy(problem.model)  # the empirical Fisher leaves gradients behind
        return lambda: matrix(model, problem)

    return prepare
