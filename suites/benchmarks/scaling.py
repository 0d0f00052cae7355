"""How costs grow with N, P and C: exponents fitted to counted operations and bytes, beside those of theory."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes, layer_sizes
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.benchmarks.scaling_grid import FITTED, Axis, Point, axes_of
from fishergauge.suites.benchmarks.scaling_theory import Expected, expected, matrix_free
from fishergauge.suites.factorisation_counts import FACTORISATIONS
from fishergauge.suites.flop_counter import FlopCounter
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.power_law import power_law_exponent

Measure = Literal["flops", "bytes", "seconds"]
MEASURES: tuple[Measure, ...] = ("flops", "bytes")
NO_FORM = "no closed form"
TOLERANCE = 0.25
"""Exponents in N and C are whole numbers and those in P multiples of one half: nearer than half of that is the same one."""


@dataclass(frozen=True)
class ScalingRow:
    """One cost of one implementation along one axis.

    Args:
        implementation: its name.
        quantity: of its task.
        operation: of its task.
        family: of the problems.
        axis: what varies, ``"N"``, ``"P"``, ``"C"`` or ``"D"``.
        measure: ``"flops"``, ``"bytes"``, or for information ``"seconds"``.
        held: what the other sizes are.
        sizes: what varies, in increasing order.
        costs: counted at each of them.
        exponent: fitted to the largest :data:`~fishergauge.suites.benchmarks.scaling_grid.FITTED` of them; None where
            nothing was counted.
        theory: fitted to the closed form at the same sizes, terms of lower order included; None where there is none.
        leading: the leading term of the closed form.
        wrong: whether the exponent contradicts theory.
        reason: why it is wrong, or was not counted.
    """

    implementation: str
    quantity: str
    operation: str
    family: str
    axis: str
    measure: Measure
    held: str
    sizes: tuple[int, ...]
    costs: tuple[float, ...]
    exponent: float | None
    theory: float | None
    leading: str
    wrong: bool
    reason: str = ""


def measure_scaling(
    implementations: Sequence[Implementation],
    *,
    quick: bool = False,
    timed: bool = False,
    theory: Callable[[Implementation], Expected | None] = expected,
    progress: Callable[[str], None] = lambda line: None,
) -> list[ScalingRow]:
    r"""Count every implementation for which theory has a closed form along N, P and C, and compare the exponents.

    An exponent p of :math:`\text{cost} = c x^p` is the slope of log cost against log x, by least squares. Beside it stands
    the slope of the closed form at the same sizes, so that terms of lower order do no harm. Operations must grow as theory
    says, and bytes not faster. Time is no argument.

    Args:
        implementations: those without a closed form are not counted.
        quick: smaller problems.
        timed: whether to time, for information.
        theory: the closed forms.
        progress: told of each implementation.

    Returns:
        A row an implementation, family, axis and measure. A failure is a row that is wrong and says why; an implementation
        without a closed form is one row that says so.

    Raises:
        ValueError: no implementation has a closed form: nothing would be examined.
    """
    known = [(one, form) for one in implementations if (form := theory(one)) is not None]
    if not known:
        raise ValueError("no closed form is known for any of these implementations: the grid would be empty")
    rows: list[ScalingRow] = []
    with one_thread():  # threads do not change a count, and where others compute as well they wait for one another
        for one, form in known:
            progress(f"{one.name} {one.task}")
            for family in form.families:
                for axis in axes_of(one.task, family, matrix_free(one.task), quick):
                    rows += along(one, form, axis, timed)
    return rows + [left_out(one) for one in implementations if theory(one) is None]


def left_out(one: Implementation) -> ScalingRow:
    """The row of an implementation that is not counted, as theory says nothing of it."""
    names = (one.name, one.task.quantity, one.task.operation, "", "")
    return ScalingRow(*names, "flops", "", (), (), None, None, "", False, NO_FORM)


def along(one: Implementation, form: Expected, axis: Axis, timed: bool = False) -> list[ScalingRow]:
    """The rows of one implementation along one axis.

    Args:
        one: the implementation.
        form: what theory says of it.
        axis: the points.
        timed: whether to time, for information.
    """
    measures: tuple[Measure, ...] = (*MEASURES, "seconds") if timed else MEASURES
    counts: dict[Measure, list[float]] = {measure: [] for measure in measures}
    theory: dict[Measure, list[float]] = {"flops": [], "bytes": []}
    reason = ""
    for point in axis.points:
        problem, sizes = made(point)
        reason = one.refuses(problem) or ""
        if reason:
            break
        try:
            cost = _cost(one.prepare(problem), timed)
        except Exception as error:  # a subject's or a peer's may be anything
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            return [_row(one, form, axis, measure, (), (), reason, True) for measure in measures]
        for measure in measures:
            counts[measure].append(cost[measure])
        theory["flops"].append(form.flops(sizes))
        theory["bytes"].append(sizes.itemsize * form.numbers(sizes))
    return [_row(one, form, axis, m, tuple(counts[m]), tuple(theory.get(m, ())), reason, False) for m in measures]


@lru_cache(maxsize=64)
def made(point: Point) -> tuple[Problem, LayerSizes]:
    """The problem at a point, and its sizes; kept, as all implementations are counted on the same ones."""
    problem = point.problem()
    sizes = layer_sizes(problem)
    assert sizes is not None  # a perceptron
    return problem, sizes


def fitted_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """The slope of log cost against log size at the largest sizes; None where a cost is not positive or points are missing.

    Example:
        >>> round(fitted_exponent([1, 2, 4, 8], [9, 12, 48, 192]), 6)
        2.0
    """
    last = list(zip(sizes, costs, strict=True))[-FITTED:]
    if len(last) < FITTED:
        return None
    slope = power_law_exponent(*zip(*last, strict=True))
    return None if math.isnan(slope) else slope


def judged(measure: Measure, exponent: float | None, theory: float | None) -> str:
    """Why an exponent is wrong; empty where it is not.

    Args:
        measure: bytes may grow more slowly than theory says, operations may not: then it is theory that is out of date.
        exponent: fitted to counts.
        theory: fitted to the closed form.

    Example:
        >>> judged("flops", 2.0, 1.02)
        'grows with the exponent 2.00, theory says 1.02'
    """
    if theory is None or measure == "seconds":
        return ""
    if exponent is None:
        return f"nothing was counted, theory says {theory:.2f}"
    excess = exponent - theory
    if excess > TOLERANCE or (measure == "flops" and excess < -TOLERANCE):
        return f"grows with the exponent {exponent:.2f}, theory says {theory:.2f}"
    return ""


def _row(
    one: Implementation,
    form: Expected,
    axis: Axis,
    measure: Measure,
    costs: tuple[float, ...],
    theory: tuple[float, ...],
    reason: str,
    failed: bool,
) -> ScalingRow:
    sizes = tuple(point.x for point in axis.points)[: len(costs)]
    exponent = fitted_exponent(sizes, costs)
    expects = fitted_exponent(sizes, theory) if theory else None
    why = reason or judged(measure, exponent, expects)
    wrong = failed or (not reason and bool(why))
    leading = {"flops": form.leading, "bytes": form.held, "seconds": ""}[measure]
    names = (one.name, one.task.quantity, one.task.operation, axis.family, axis.name)
    return ScalingRow(*names, measure, axis.held, sizes, costs, exponent, expects, leading, wrong, why)


def _cost(call: Call, timed: bool) -> dict[Measure, float]:
    """What a call costs."""
    with FlopCounter(FACTORISATIONS) as counter:
        call()
    cost: dict[Measure, float] = {"flops": float(counter.get_total_flops()), "bytes": float(peak_bytes(call))}
    if timed:
        cost["seconds"] = min(_seconds(call) for _ in range(3))
    return cost


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
