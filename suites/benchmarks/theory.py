"""What no known implementation of a task can avoid: operations of matrix products, and bytes moved."""

from collections.abc import Callable
from dataclasses import dataclass

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks import theory_of_layers as layered
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes, layer_sizes
from fishergauge.suites.benchmarks.task import Task

FULL_ROOT = ("fisher", "ggn", "kfac", "kfac-separate")
ONE_ROOT = ("empirical-fisher", "monte-carlo-fisher", "kfac-empirical")  # one draw a term
OBSERVED = ("empirical-fisher", "kfac-empirical", "gradient", "hessian")  # the labels count
AT_HAND = ("product", "solve")
LABEL_BYTES = 8


@dataclass(frozen=True)
class Work:
    """Operations and traffic.

    Args:
        flops: floating-point operations of matrix products, symmetry used.
        bytes: inputs and parameters read once, result written once.
    """

    flops: float
    bytes: float


def necessary_work(task: Task, problem: Problem) -> Work | None:
    r"""The operations and the bytes that no known implementation of a task does without.

    The operations are those of :mod:`~fishergauge.suites.benchmarks.theory_of_layers`. They are no lower bounds in the sense
    of complexity theory: an algorithm of Strassen's kind takes fewer. The bytes are those of inputs, labels where they count,
    parameters, vectors and matrices that are at hand, and of the result; what is kept in between may stay in a cache.

    Args:
        task: what is done.
        problem: on which problem; evaluated once.

    Returns:
        None where nothing is known to be necessary: models that are no layers used once, the dense Hessian of a model with
        more than one layer, quantities that are not covered.

    Example:
        >>> from fishergauge.suites.benchmarks.problems import perceptron
        >>> necessary_work(Task("fisher", "dense"), perceptron((3, 2), 10, "example")).flops  # 2 * 1 * 60 + 12 * 10
        240
    """
    sizes = layer_sizes(problem)
    return None if sizes is None else work_of(task, sizes)


def work_of(task: Task, s: LayerSizes) -> Work | None:
    """As :func:`necessary_work`, by the sizes alone.

    Args:
        task: what is done.
        s: the sizes.
    """
    flops = _flops(task, s)
    return None if flops is None else Work(flops, s.itemsize * _numbers(task, s) + LABEL_BYTES * _labels(task, s))


def roots_of(quantity: str, s: LayerSizes) -> int | None:
    """R, the vectors a sample of which a matrix is made; None for another kind of quantity.

    Example:
        >>> roots_of("kfac", LayerSizes(5, 3, (), 0, 8))
        3
    """
    if quantity in ONE_ROOT:
        return 1
    return s.outputs if quantity in FULL_ROOT or (quantity == "hessian" and s.linear) else None


def _flops(task: Task, s: LayerSizes) -> float | None:
    """Operations of a task; None where none are known."""
    roots = roots_of(task.quantity, s)
    if task.operation == "rows":
        return layered.rows(s)
    if task.quantity == "gradient":
        return s.forward + layered.gradient(s)
    if task.quantity == "hessian" and task.operation in ("product", "first-product"):
        return layered.hessian_product(s) + (0 if task.operation in AT_HAND else s.forward + s.into_inputs)
    if roots is None:
        return layered.cholesky_solve(s.parameters) if task == Task("hessian", "solve") else None
    if task.quantity.startswith("kfac"):
        return _kronecker(task, s, roots)
    known: dict[str, Callable[[], float]] = {
        "dense": lambda: layered.dense(s, roots),
        "blocks": lambda: layered.blocks(s, roots),
        "diagonal": lambda: layered.diagonal(s, roots),
        "first-product": lambda: s.forward + layered.product(s),
        "product": lambda: layered.product(s),
        "solve": lambda: layered.cholesky_solve(s.parameters),
        "step": lambda: _step(s, roots),
    }
    return known[task.operation]() if task.operation in known else None


def _kronecker(task: Task, s: LayerSizes, roots: int) -> float | None:
    """Operations with Kronecker factors; entries of the matrix are entries of both factors multiplied, no matrix products."""
    joint = task.quantity != "kfac-separate"
    forming, applied = layered.factors(s, roots, joint), layered.kronecker_product(s, joint)
    solving = layered.kronecker_solve(s, joint)
    known: dict[str, float] = {
        **dict.fromkeys(("factors", "dense", "blocks", "diagonal"), forming),
        "first-product": forming + applied,
        "product": applied,
        "solve": solving,
        "step": forming + layered.gradient(s) + solving,
    }
    return known.get(task.operation)


def _step(s: LayerSizes, roots: int) -> float:
    """By the matrix or by the Gram matrix, whichever takes less; and the gradient."""
    by_matrix = layered.dense(s, roots) + layered.cholesky_solve(s.parameters)
    by_gram = layered.gram_step(s, roots)
    return layered.gradient(s) + (by_matrix if by_gram is None else min(by_matrix, by_gram))


def _numbers(task: Task, s: LayerSizes) -> int:
    """Numbers that are read and written."""
    P = s.parameters
    if task.operation == "solve":
        return 2 * P + (_factors(s) if task.quantity.startswith("kfac") else P**2)
    if task.operation == "product" and task.quantity.startswith("kfac"):
        return 2 * P + _factors(s)
    results = {
        "dense": P**2,
        "blocks": sum(layer.parameters**2 for layer in s.layers),
        "factors": _factors(s),
        "rows": s.samples * P,
        "product": 2 * P,  # the vector as well
        "first-product": 2 * P,
    }
    return s.input_numbers + P + results.get(task.operation, P)


def _factors(s: LayerSizes) -> int:
    return sum(layer.outputs**2 + layer.columns**2 for layer in s.layers)


def _labels(task: Task, s: LayerSizes) -> int:
    """Labels that are read: the Fisher and the GGN of a likelihood do without."""
    if task.operation in AT_HAND:
        return 0
    return s.samples if task.quantity in OBSERVED or task.operation in ("rows", "step") else 0
