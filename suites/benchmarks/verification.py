"""Whether a result is right, by a route that shares no code with what is measured."""

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fishergauge.reference import Problem, UndefinedError, UnsupportedError
from fishergauge.suites.benchmarks import plain_curvature, plain_factors, plain_statistics
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.quantity import KNOWN, Quantity
from fishergauge.suites.benchmarks.task import DAMPING, Task, vector_of
from fishergauge.suites.closeness import relative_deviation, rounding_bound
from fishergauge.suites.comparison import summands
from fishergauge.suites.precision import converted

LARGEST_MATRIX = 2**30  # bytes of a (P, P) array in float64
KEPT = 3  # dense matrices of a problem

Apply = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Expected:
    """What a task gives.

    Args:
        value: one vector, in float64.
        against: how it was found.
        parts: lengths of the pieces of the vector that are compared each by itself; all of it by default.
    """

    value: Tensor
    against: str
    parts: tuple[int, ...] = ()


class Verified(NamedTuple):
    """The outcome of a comparison.

    Args:
        verified: whether the result agrees; None where it was not compared.
        deviation: from what was expected, relative; None where it was not compared.
        bound: on the deviation.
        against: what it was compared with, or why it was not.
    """

    verified: bool | None
    deviation: float | None
    bound: float | None
    against: str


@dataclass
class _Known:
    """What was found for one problem."""

    problem: Problem
    matrices: dict[str, Tensor] = field(default_factory=dict)
    pieces: dict[str, list[plain_factors.Piece]] = field(default_factory=dict)
    products: dict[str, Apply] = field(default_factory=dict)
    results: dict[Task, Expected] = field(default_factory=dict)


_KNOWN: "weakref.WeakKeyDictionary[Problem, _Known]" = weakref.WeakKeyDictionary()


def forget(problem: Problem) -> None:
    """Release what is kept of a problem."""
    _KNOWN.pop(problem, None)


def verify(implementation: Implementation, problem: Problem, result: Any) -> Verified:
    """Compare the result of an implementation with the expected one.

    Args:
        implementation: whose result it is.
        problem: that it was given.
        result: of its call.

    Returns:
        The outcome. A wrong result, also one of the wrong shape or with entries that are not finite, raises nothing.
    """
    try:
        actual = implementation.canonical(problem, result).detach()
    except Exception as error:
        return Verified(False, None, None, f"no result of {implementation.task}: {type(error).__name__}: {error}")
    return judged(implementation.task, problem, actual, own_damping=implementation.kind == "subject")


def judged(task: Task, problem: Problem, actual: Tensor, own_damping: bool = False) -> Verified:
    """Compare a result in its canonical form with the expected one.

    Args:
        task: whose result it is.
        problem: that was given.
        actual: the result as one vector.
        own_damping: whether a Kronecker factorisation may also be damped in its factors.
    """
    quantity = KNOWN.get(task.quantity)
    try:
        if task.quantity != "gradient" and quantity is None:
            raise UnsupportedError(f"what {task.quantity} is meant to be is not known here")
        if quantity is not None and quantity.drawn:
            return _estimated(task, quantity, problem, actual)
        if quantity is not None and task.operation in ("solve", "step"):
            return _solved(task, quantity, problem, actual, own_damping)
        found = [_compared(each, problem, actual) for each in _forms(task, quantity)]
    except (UnsupportedError, UndefinedError) as error:
        return Verified(None, None, None, f"not compared: {error}")
    return _nearest(found)


def _forms(task: Task, quantity: Quantity | None) -> list[Task]:
    """The task, and the other form of a quasi-diagonal matrix: with zeros between the weights of a unit."""
    if quantity is None or quantity.structure != "quasi-diagonal":
        return [task]
    return [task, Task(replace(quantity, structure="quasi-diagonal-with-zeros").name, task.operation)]


def _nearest(found: list[Verified]) -> Verified:
    return min(found, key=lambda each: math.inf if each.deviation is None else each.deviation)


def _compared(task: Task, problem: Problem, actual: Tensor) -> Verified:
    bound = rounding_bound(problem.dtype, summands(problem))
    wanted = expected(task, problem)
    if fault := _fault(actual, wanted.value, problem):
        return Verified(False, math.inf, bound, f"{wanted.against}; {fault}")
    bound *= _condition(task, problem)
    deviation = deviation_of(actual, wanted)
    return Verified(deviation <= bound, deviation, bound, wanted.against)


def expected(task: Task, problem: Problem) -> Expected:
    """What a task gives on a problem, computed in float64 by plain differentiation and kept as long as the problem is.

    Args:
        task: any but a solution or a step, which are judged by their residual.
        problem: in any precision; its numbers are taken over exactly.

    Returns:
        The result in its canonical form.

    Raises:
        UnsupportedError: there is no such route.
        UndefinedError: the quantity is not defined on the problem.

    Example:
        >>> from torch import nn
        >>> problem = Problem(nn.Linear(1, 1), nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> expected(Task("ggn", "diagonal"), problem).value
        tensor([2., 2.], dtype=torch.float64)
    """
    known = _known(problem)
    if task in known.results:
        return known.results[task]
    found = _found(task, known)
    if task.operation != "dense":  # that is kept as a matrix
        known.results[task] = found
    return found


def _known(problem: Problem) -> _Known:
    if problem not in _KNOWN:
        _KNOWN[problem] = _Known(converted(problem, torch.float64))
    return _KNOWN[problem]


def _found(task: Task, known: _Known) -> Expected:
    problem = known.problem
    if task.quantity == "gradient" and task.operation == "rows":
        rows = plain_curvature.plain_sample_gradients(problem)
        return Expected(rows.reshape(-1), "one gradient of each sample by torch.func.grad")
    quantity = KNOWN.get(task.quantity)
    if quantity is None:
        raise UnsupportedError(f"what {task.quantity} is meant to be is not known here")
    if task.operation == "factors":
        pairs = [piece.factors for piece in _pieces(quantity, known) if piece.factors is not None]
        sizes = tuple(factor.numel() for pair in pairs for factor in pair)
        return Expected(factor_pairs(pairs), "factors by hooks and one backward pass for each output", sizes)
    if task.operation in ("product", "first-product"):
        vector = vector_of(problem)
        return Expected(_product(quantity, known)(vector), _route(quantity, known))
    if task.operation == "diagonal":
        return Expected(_diagonal(quantity, known), _route(quantity, known))
    matrix = _matrix(quantity, known)
    if task.operation == "dense":
        return Expected(matrix.reshape(-1), _route(quantity, known))
    if task.operation == "blocks":
        blocks = [matrix[part, part].reshape(-1) for part in _layers(problem)]
        return Expected(torch.cat(blocks), _route(quantity, known), tuple(map(len, blocks)))
    raise UnsupportedError(f"{task.operation} of {task.quantity} has no expected value")


def _route(quantity: Quantity, known: _Known) -> str:
    """How the matrix is found, in words."""
    if quantity.structure in ("kronecker", "eigen-kronecker"):
        return "its definition, by hooks and one backward pass for each output"
    if quantity.target == "hessian":
        return "a second backward pass"
    if quantity.target == "empirical-fisher" and (quantity.structure != "dense" or _small(known.problem)):
        rows = "its rows, one gradient of each sample"
        return rows if quantity.structure == "dense" else f"its definition from {rows}"
    rows = "J' B J by rows" if _small(known.problem) else "J' B J by a second backward pass"
    return rows if quantity.structure == "dense" else f"its definition from {rows}"


def _small(problem: Problem) -> bool:
    return 8 * problem.num_parameters**2 <= LARGEST_MATRIX


def _matrix(quantity: Quantity, known: _Known) -> Tensor:
    """The matrix, ``(P, P)``."""
    if quantity.drawn:
        raise UnsupportedError("a Monte-Carlo estimate has no expected entries")
    problem = known.problem
    if not _small(problem):
        raise UnsupportedError(f"a matrix of {problem.num_parameters} rows is not formed")
    if quantity.name not in known.matrices:
        made = _formed(quantity, known)
        while len(known.matrices) >= KEPT:  # large ones: those of the quantities that come next take their place
            del known.matrices[next(iter(known.matrices))]
        known.matrices[quantity.name] = made
    return known.matrices[quantity.name]


def _formed(quantity: Quantity, known: _Known) -> Tensor:
    problem = known.problem
    if quantity.structure in ("kronecker", "eigen-kronecker"):
        return plain_factors.block_dense(_pieces(quantity, known), problem.vector)
    if quantity.structure == "dense":
        return plain_curvature.plain_matrix(problem, quantity.target)
    whole = _matrix(Quantity(quantity.target), known)
    if quantity.structure == "diagonal":
        return whole.diagonal().diag()
    if quantity.structure.startswith("quasi-diagonal"):
        return plain_factors.quasi_diagonal_of(problem, whole, completed=quantity.structure == "quasi-diagonal")
    if quantity.structure == "shampoo":
        return plain_factors.shampoo_of(problem, whole)
    if quantity.structure == "block-diagonal":
        kept = torch.zeros_like(whole)
        for part in _layers(problem) if quantity.bias == "joint" else _parameters(problem):
            kept[part, part] = whole[part, part]
        return kept
    raise UnsupportedError(f"there is no definition of the structure {quantity.structure}")


def _pieces(quantity: Quantity, known: _Known) -> list[plain_factors.Piece]:
    """The blocks of a Kronecker factorisation."""
    if quantity.drawn:
        raise UnsupportedError("a Monte-Carlo estimate has no expected factors")
    forms = {"kronecker": plain_factors.kronecker_pieces, "eigen-kronecker": plain_factors.eigen_pieces}
    if quantity.structure not in forms:
        raise UnsupportedError(f"{quantity.name} has no Kronecker factors")
    if quantity.name not in known.pieces:
        form, reduce = forms[quantity.structure], quantity.sharing == "reduce"
        known.pieces[quantity.name] = form(known.problem, quantity.target, quantity.bias == "joint", reduce)
    return known.pieces[quantity.name]


def _product(quantity: Quantity, known: _Known) -> Apply:
    """The product with a vector ``(P,)``."""
    problem = known.problem
    if quantity.drawn:
        raise UnsupportedError("a Monte-Carlo estimate has no expected product")
    if quantity.structure in ("kronecker", "eigen-kronecker"):
        return plain_factors.block_apply(_pieces(quantity, known), problem.num_parameters)
    if quantity.structure != "dense" or (_small(problem) and quantity.name in known.matrices):
        matrix = _matrix(quantity, known)
        return lambda vector: matrix @ vector
    if quantity.name not in known.products:
        known.products[quantity.name] = _plain_product(problem, quantity)
    return known.products[quantity.name]


def _plain_product(problem: Problem, quantity: Quantity) -> Apply:
    if quantity.target != "hessian":
        return plain_curvature.sum_product(problem, quantity.target)
    products = plain_curvature.hessian_product(problem)
    return lambda vector: products(vector[None])[0]


def _diagonal(quantity: Quantity, known: _Known) -> Tensor:
    problem = known.problem
    if quantity.structure in ("kronecker", "eigen-kronecker"):
        return plain_factors.block_diagonal(_pieces(quantity, known), problem.vector)
    sums = quantity.structure in ("dense", "diagonal", "quasi-diagonal", "block-diagonal") and quantity.target != "hessian"
    if sums and not quantity.drawn and Quantity(quantity.target).name not in known.matrices:
        return plain_curvature.plain_diagonal(problem, quantity.target)
    return _matrix(quantity, known).diagonal().clone()


def _solved(task: Task, quantity: Quantity, problem: Problem, actual: Tensor, own_damping: bool) -> Verified:
    r"""The residual of (M + damping I) x = v, relative to :math:`\|M\| \|x\| + \|v\|`."""
    known = _known(problem)
    right = vector_of(problem).double() if task.operation == "solve" else -plain_curvature.plain_gradient(known.problem)
    found = []
    for each in _forms(task, quantity):
        form = KNOWN[each.quantity]
        product = _product(form, known)
        against = f"the residual with {_route(form, known)}"
        found.append(_residual(partial(_plus_damping, product), product, actual, right, problem, against))
        found[-1] = _with_condition(found[-1], _condition(each, problem))
    if own_damping and quantity.structure == "kronecker":
        for balanced in (True, False):
            pieces = plain_factors.damped_in_factors(_pieces(quantity, known), DAMPING, balanced)
            damped = plain_factors.block_apply(pieces, problem.num_parameters)
            against = f"the residual with factors damped {'with' if balanced else 'without'} balance"
            found.append(_residual(damped, damped, actual, right, problem, against))
    return _nearest(found)


def _plus_damping(product: Apply, vector: Tensor) -> Tensor:
    return product(vector) + DAMPING * vector


def _residual(damped: Apply, product: Apply, actual: Tensor, right: Tensor, problem: Problem, against: str) -> Verified:
    bound = rounding_bound(problem.dtype, summands(problem))
    if fault := _fault(actual, right, problem):
        return Verified(False, math.inf, bound, f"{against}; {fault}")
    solution = actual.double()
    size = plain_curvature.norm_estimate(product, right) * solution.norm() + right.norm()
    deviation = float((damped(solution) - right).norm() / size)
    return Verified(deviation <= bound, deviation, bound, against)


def _with_condition(found: Verified, condition: float) -> Verified:
    if found.bound is None or found.deviation is None or not math.isfinite(found.deviation):
        return found
    bound = found.bound * condition
    return found._replace(bound=bound, verified=found.deviation <= bound)


def _condition(task: Task, problem: Problem) -> float:
    """What amplifies rounding: how well the eigenbases of an eigenvalue-corrected factorisation are determined."""
    quantity = KNOWN.get(task.quantity)
    if quantity is None or quantity.structure != "eigen-kronecker":
        return 1.0
    return max(plain_factors.basis_condition(piece) for piece in _pieces(quantity, _known(problem)))


def _estimated(task: Task, quantity: Quantity, problem: Problem, actual: Tensor) -> Verified:
    """A Monte-Carlo Fisher by numbers whose range is known: the quadratic form of the vector, and the trace."""
    if quantity.target not in ("fisher", "ggn") or quantity.structure not in ("dense", "diagonal"):
        raise UnsupportedError(f"there is no range for a drawn {quantity.structure} matrix")
    diagonal = quantity.structure == "diagonal"
    if task.operation not in ("dense", "diagonal") and (diagonal or task.operation not in ("product", "first-product")):
        raise UnsupportedError(f"there is no range for {task.operation} of a drawn matrix")
    known = _known(problem)
    vector, size = vector_of(known.problem), problem.num_parameters
    numbers: list[tuple[Tensor, plain_statistics.Estimated]] = []
    wide = task.operation == "dense"
    if fault := _fault(actual, vector.new_empty(size * size if wide else size), problem):
        return Verified(False, math.inf, None, fault)
    result = actual.double()
    if task.operation != "diagonal" and not diagonal:
        product = result.view(size, size) @ vector if wide else result
        pushed = plain_curvature.pushed(known.problem, vector)
        numbers.append((vector @ product, plain_statistics.quadratic_form(known.problem, pushed)))
    if task.operation in ("diagonal", "dense"):
        trace = result.view(size, size).trace() if wide else result.sum()
        numbers.append((trace, plain_statistics.trace(known.problem)))
    ratios = [(abs(float(number) - each.mean) / each.mean, each.reach / each.mean) for number, each in numbers]
    deviation, bound = max(ratios, key=lambda pair: pair[0] / pair[1])
    against = f"the exact Fisher, by {'the trace and a' if wide else 'a'} number it estimates, level {plain_statistics.LEVEL:g}"
    return Verified(deviation <= bound, deviation, bound, against)


def _fault(actual: Tensor, wanted: Tensor, problem: Problem) -> str | None:
    """What is wrong with a result before its numbers are compared."""
    if actual.shape != wanted.shape:
        return f"{actual.numel()} numbers where {wanted.numel()} are expected"
    if actual.dtype != problem.dtype:
        return f"the result is of {actual.dtype}, the problem of {problem.dtype}"
    bad = int((~actual.isfinite()).sum())
    return f"{bad} numbers are NaN or infinite" if bad else None


def deviation_of(actual: Tensor, wanted: Expected) -> float:
    """The largest relative deviation among the parts."""
    if not wanted.parts:
        return relative_deviation(actual, wanted.value)
    pairs = zip(torch.split(actual, list(wanted.parts)), torch.split(wanted.value, list(wanted.parts)), strict=True)
    return max(relative_deviation(mine, right) for mine, right in pairs)


def _layers(problem: Problem) -> list[slice]:
    """The parts of the parameter vector that belong to one module."""
    return _parts(problem, lambda name: name.rpartition(".")[0])


def _parameters(problem: Problem) -> list[slice]:
    return _parts(problem, lambda name: name)


def _parts(problem: Problem, owner: Callable[[str], str]) -> list[slice]:
    found: dict[str, slice] = {}
    start = 0
    for name, parameter in problem.parameters.items():
        stop = start + parameter.numel()
        found[owner(name)] = slice(found[owner(name)].start if owner(name) in found else start, stop)
        start = stop
    return list(found.values())
