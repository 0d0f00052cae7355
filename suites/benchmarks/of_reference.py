"""The reference quantities of this package as implementations."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from fishergauge import reference
from fishergauge.reference import Curvature, KroneckerFactored, Problem
from fishergauge.reference.factored_blocks import FactoredBlocks
from fishergauge.reference.sample_gradients import sample_gradients
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Call, Implementation, flattened
from fishergauge.suites.benchmarks.task import DAMPING, Operation, Task, vector_of
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.seeding import generator

NAME = "fishergauge"
LARGEST_ARRAY = 2**30  # bytes: no (P, P) array and no gradients of samples above it

Build = Callable[[Problem], Curvature]


def implementations() -> list[Implementation]:
    """All reference quantities with every operation that they have."""
    found: list[Implementation] = []
    for quantity, variants in SUMS.items():
        for variant, build in variants.items():
            found += _operations(quantity, variant, build, of_sum=True)
            if quantity != "hessian":
                found += _solved(quantity, variant, partial(_dense, build), reference.solve_damped)
                found += _by_conjugate_gradients(quantity, variant, build)
    for quantity, build in FACTORED.items():
        found += _operations(quantity, "", build, of_sum=False)
        found += _solved(quantity, "", build, SOLVES[quantity], dense=quantity in ("quasi-diagonal", "shampoo"))
    for quantity, variant, kronecker in FACTORS:
        found.append(_made(quantity, "factors", variant, partial(_factors, kronecker), canonical=_factor_pairs))
    found.append(_made("gradient", "rows", "", _sample_gradients, rows_too_large))
    return found + list(_closed_forms())


def _dense(build: Build, problem: Problem) -> Tensor:
    return build(problem).dense()


def too_large(problem: Problem) -> str | None:
    """Why no (P, P) array of a problem is made, or None."""
    size = problem.num_parameters
    if size * size * problem.dtype.itemsize > LARGEST_ARRAY:
        return f"a matrix of {size} x {size} is not made"
    return None


def rows_too_large(problem: Problem) -> str | None:
    """Why the gradients of the samples of a problem are not made, or None."""
    size = problem.num_samples * problem.num_parameters * problem.dtype.itemsize
    return f"gradients of {problem.num_samples} samples take {size / 2**30:.1f} GiB" if size > LARGEST_ARRAY else None


def draw(problem: Problem) -> Curvature:
    """The Monte-Carlo Fisher with one label a term, the same in every call."""
    return reference.monte_carlo_fisher(problem, 1, generator("benchmark draw", problem.name, device=str(problem.device)))


SUMS: dict[str, dict[str, Build]] = {
    "fisher": {"": reference.fisher, "type2": lambda problem: reference.fisher(problem, kind=2)},
    "ggn": {"": reference.ggn},
    "hessian": {"": reference.hessian},
    "empirical-fisher": {"": reference.empirical_fisher},
    "monte-carlo-fisher": {"": draw},
}
FACTORED: dict[str, Callable[[Problem], FactoredBlocks]] = {
    "kfac": reference.kfac,
    "kfac-separate": lambda problem: reference.kfac(problem, bias="separate"),
    "kfac-empirical": lambda problem: reference.kfac(problem, "empirical-fisher"),
    "eigen-kfac": reference.eigen_kfac,
    "eigen-kfac-separate": lambda problem: reference.eigen_kfac(problem, bias="separate"),
    "quasi-diagonal": reference.quasi_diagonal,
    "shampoo": reference.shampoo,
}
EXACT: Callable[..., Tensor] = KroneckerFactored.solve_exactly
SOLVES: dict[str, Callable[..., Tensor]] = {
    "kfac": EXACT,
    "kfac-separate": EXACT,
    "kfac-empirical": EXACT,
    "eigen-kfac": reference.EigenKronecker.solve,
    "eigen-kfac-separate": reference.EigenKronecker.solve,
    "quasi-diagonal": reference.QuasiDiagonal.solve,
    "shampoo": lambda matrix, vector, damping: _shampoo_solved(matrix, vector, damping),
}
FACTORS: list[tuple[str, str, Callable[[Problem], KroneckerFactored]]] = [
    ("kfac", "", reference.kfac),
    ("kfac", "separate", lambda problem: reference.kfac(problem, bias="separate")),
    ("kfac", "type2", lambda problem: reference.kfac(problem, "ggn")),
    ("kfac-empirical", "", lambda problem: reference.kfac(problem, "empirical-fisher")),
    ("kfac-empirical", "separate", lambda problem: reference.kfac(problem, "empirical-fisher", "separate")),
]


def _made(
    quantity: str,
    operation: Operation,
    variant: str,
    prepare: Callable[[Problem], Call],
    refuses: Callable[[Problem], str | None] = lambda problem: None,
    canonical: Callable[[Problem, object], Tensor] = flattened,
) -> Implementation:
    name = f"{NAME}:{variant}" if variant else NAME
    return Implementation(name, "reference", Task(quantity, operation), prepare, canonical, refuses)


def _operations(quantity: str, variant: str, build: Build, of_sum: bool) -> Iterator[Implementation]:
    """What every curvature matrix can do."""

    def calling(function: Callable[[Problem], object]) -> Callable[[Problem], Call]:
        return lambda problem: partial(function, problem)

    def first_product(problem: Problem) -> Call:
        vector = vector_of(problem)
        return lambda: build(problem) @ vector

    def product(problem: Problem) -> Call:
        matrix, vector = build(problem), vector_of(problem)
        return lambda: matrix @ vector

    refuses = too_large if of_sum or quantity in ("quasi-diagonal", "shampoo") else _never
    yield _made(quantity, "dense", variant, calling(lambda problem: build(problem).dense()), too_large)
    yield _made(quantity, "blocks", variant, calling(lambda problem: build(problem).blocks()), too_large)
    yield _made(quantity, "diagonal", variant, calling(lambda problem: build(problem).diagonal()), refuses)
    yield _made(quantity, "first-product", variant, first_product, _never if of_sum else refuses)
    yield _made(quantity, "product", variant, product, _never if of_sum else refuses)


def _never(_: Problem) -> str | None:
    return None


def _solved(
    quantity: str, variant: str, build: Callable[[Problem], object], solve: Callable[..., Tensor], dense: bool = True
) -> Iterator[Implementation]:
    """Solving with a matrix at hand, and the step from the problem."""

    def solved(problem: Problem) -> Call:
        matrix, vector = build(problem), vector_of(problem)
        return lambda: solve(matrix, vector, DAMPING)

    def step(problem: Problem) -> Call:
        return lambda: -solve(build(problem), reference.gradient(problem), DAMPING)

    refuses = too_large if dense else _never
    yield _made(quantity, "solve", variant, solved, refuses)
    yield _made(quantity, "step", variant, step, refuses)


def _by_conjugate_gradients(quantity: str, variant: str, build: Build) -> Iterator[Implementation]:
    """Solving by products alone, to the accuracy that rounding allows."""
    name = f"{variant}:cg" if variant else "cg"

    def solve(matrix: Curvature, vector: Tensor) -> Tensor:
        tolerance = rounding_bound(vector.dtype, len(vector))
        return reference.conjugate_gradients(matrix, vector, DAMPING, tolerance)

    def solved(problem: Problem) -> Call:
        matrix, vector = build(problem), vector_of(problem)
        return lambda: solve(matrix, vector)

    def step(problem: Problem) -> Call:
        return lambda: -solve(build(problem), reference.gradient(problem))

    yield _made(quantity, "solve", name, solved)
    yield _made(quantity, "step", name, step)


def _shampoo_solved(matrix: FactoredBlocks, vector: Tensor, damping: float) -> Tensor:
    """Each block is a Kronecker product, solved in the eigenbases of its factors."""
    result = torch.empty_like(vector)
    for piece in matrix.pieces:
        result[piece.index] = piece.solve_exactly(vector[piece.index], damping)  # type: ignore[attr-defined]
    return result


def _factors(build: Callable[[Problem], KroneckerFactored], problem: Problem) -> Call:
    return lambda: build(problem).factors


def _factor_pairs(_: Problem, factors: object) -> Tensor:
    assert isinstance(factors, dict)
    pairs = []
    for block in factors.values():
        size = len(block.input_factor) - block.joint
        if block.weight is not None:
            pairs.append((block.output_factor, block.input_factor[:size, :size]))
    return factor_pairs(pairs)


def _sample_gradients(problem: Problem) -> Call:
    return partial(sample_gradients, problem)


def _closed_forms() -> Iterator[Implementation]:
    """Softmax regression: the model is one linear layer without bias, the loss the mean cross-entropy."""

    def fisher(problem: Problem) -> Tensor:
        return reference.softmax_regression_fisher(problem.inputs, problem.outputs)

    def empirical(problem: Problem) -> Tensor:
        return reference.softmax_regression_empirical_fisher(problem.inputs, problem.outputs, problem.targets)

    def kfac(problem: Problem) -> Tensor:
        return reference.softmax_regression_kfac(problem.inputs, problem.outputs)

    forms = {"fisher": fisher, "ggn": fisher, "hessian": fisher, "empirical-fisher": empirical, "kfac": kfac}
    for quantity, form in forms.items():
        prepare = lambda problem, form=form: partial(form, problem)  # noqa: E731
        yield _made(quantity, "dense", "closed-form", prepare, not_softmax_regression)


def not_softmax_regression(problem: Problem) -> str | None:
    """Why a problem is no softmax regression without bias, or None if it is."""
    leaves = [module for module in problem.model.modules() if type(module) is not nn.Sequential]
    linear = len(leaves) == 1 and type(leaves[0]) is nn.Linear and leaves[0].bias is None
    loss = problem.loss
    plain = isinstance(loss, nn.CrossEntropyLoss) and loss.weight is None and not loss.label_smoothing
    if not linear or not plain or loss.reduction != "mean":
        return "it is for softmax regression without a bias"
    if problem.inputs.ndim != 2 or problem.targets.ndim != 1 or not bool(problem.likelihood.present(problem.targets).all()):
        return "it is for one label a sample, none of them masked"
    return None
