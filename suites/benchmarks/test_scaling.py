"""Exponents of counted costs are those of theory, and an implementation with one too many is red."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.suites.benchmarks import scaling
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.layer_sizes import layer_sizes
from fishergauge.suites.benchmarks.registry import implementations
from fishergauge.suites.benchmarks.scaling import NO_FORM, ScalingRow, along, fitted_exponent, judged, measure_scaling
from fishergauge.suites.benchmarks.scaling_grid import FITTED, Axis, Point, axes_of
from fishergauge.suites.benchmarks.scaling_orders import FAR, HELD, ORDERS
from fishergauge.suites.benchmarks.scaling_tables import csv_rows, no_closed_form, scaling_markdown
from fishergauge.suites.benchmarks.scaling_theory import FORMS, Expected, expected, matrix_free
from fishergauge.suites.benchmarks.task import OPERATIONS, Operation, Task

GGN = Task("ggn", "dense")
LIKE_OURS = FORMS["fishergauge", "ggn/dense"]


def planted(form: Callable[[Problem], Tensor], task: Task = GGN) -> Implementation:
    def prepare(problem: Problem) -> Call:
        return lambda: form(problem)

    return Implementation("planted", "subject", task, prepare)


def class_by_class(problem: Problem) -> Tensor:
    """The rows of one class after the other, C products of N rows: N C P^2."""
    jacobian = reference.output_jacobian(problem)
    matrix = jacobian.new_zeros(jacobian.shape[2], jacobian.shape[2])
    for row in jacobian.unbind(1):
        matrix = matrix + row.T @ row
    return matrix


def sample_by_sample(problem: Problem) -> Tensor:
    """An array of N matrices before they are added up."""
    jacobian = reference.output_jacobian(problem)
    return (jacobian.mT @ jacobian).sum(0)


def through_an_inverse(problem: Problem) -> Tensor:
    """A product with the matrix where the diagonal is asked for: P^3."""
    matrix = torch.eye(problem.num_parameters, dtype=problem.dtype)
    return (matrix @ matrix).diagonal()


SMALL = {  # the wrong ones hold large arrays
    "N": Axis("N", "mlp", "P = 53", tuple(Point(n, (6, 5, 3), n) for n in (32, 64, 128, 256))),
    "P": Axis("P", "mlp", "N = 16", tuple(Point(h * h + 5 * h + 4, (h, h, 4), 16) for h in (8, 12, 16, 24))),
    "C": Axis("C", "mlp", "P = 500", tuple(Point(c, (round((500 - c * 9) / 8) - 1, 8, c), 16) for c in (4, 8, 16, 32))),
}


def of_axis(one: Implementation, axis: str, form: Expected = LIKE_OURS) -> dict[str, ScalingRow]:
    return {row.measure: row for row in along(one, form, SMALL[axis])}


def test_a_loop_over_classes_is_red_in_c_by_its_operations() -> None:
    rows = of_axis(planted(class_by_class), "C")
    assert rows["flops"].wrong
    assert rows["flops"].exponent == pytest.approx(1, abs=0.1)
    assert "exponent" in rows["flops"].reason
    assert "theory" in rows["flops"].reason


def test_a_matrix_a_sample_is_red_in_n_by_its_bytes() -> None:
    rows = of_axis(planted(sample_by_sample), "N")
    assert rows["bytes"].wrong
    assert rows["bytes"].exponent == pytest.approx(1, abs=0.1)
    assert not rows["flops"].wrong


def test_the_same_grid_does_not_call_a_right_one_red() -> None:
    (ours,) = [one for one in implementations(["reference"], globs=["ggn/dense"]) if one.name == "fishergauge"]
    for axis in SMALL:
        assert [row for row in of_axis(ours, axis).values() if row.wrong] == []


def test_one_power_of_p_too_many_is_red() -> None:
    rows = of_axis(planted(through_an_inverse), "P")
    assert rows["flops"].wrong
    assert rows["flops"].exponent == pytest.approx(3)


def all_rows(problem: Problem) -> Tensor:
    """The rows of all samples and classes: N P^2 operations a class where a product takes N P."""
    jacobian = reference.output_jacobian(problem).flatten(0, 1)
    return jacobian.T @ jacobian


def sample_against_sample(problem: Problem) -> Tensor:
    """The Gram matrix of all samples: N^2."""
    jacobian = reference.output_jacobian(problem).flatten(1)
    return jacobian @ jacobian.T


@pytest.mark.parametrize("operation", ["diagonal", "product", "first-product"])
def test_a_dense_matrix_where_a_diagonal_or_a_product_is_asked_is_red_in_p_by_operations_and_bytes(
    operation: Operation,
) -> None:
    rows = of_axis(planted(all_rows, Task("ggn", operation)), "P", FORMS["fishergauge", f"ggn/{operation}"])
    assert rows["flops"].wrong
    assert rows["bytes"].wrong
    assert rows["flops"].exponent == pytest.approx(2, abs=0.15)


def test_a_dense_matrix_where_rows_are_asked_is_red_in_c() -> None:
    rows = of_axis(planted(all_rows, Task("gradient", "rows")), "C", FORMS["fishergauge", "gradient/rows"])
    assert rows["flops"].wrong


@pytest.mark.parametrize("task", ["ggn/dense", "ggn/diagonal", "ggn/product", "gradient/rows", "kfac/factors"])
def test_every_sample_against_every_other_is_red_in_n(task: str) -> None:
    rows = of_axis(planted(sample_against_sample), "N", FORMS["fishergauge", task])
    assert rows["flops"].wrong
    assert rows["flops"].exponent == pytest.approx(2, abs=0.1)


def order(values: Sequence[float]) -> float:
    return math.log2(values[1] / values[0])


def departures(form: Expected) -> list[str]:
    """Where the closed forms, far out, are not of the order of the leading terms that the table names."""
    wrong = []
    for (family, axis), far in FAR.items():
        if family not in form.families:
            continue
        pairs = {"flops": (form.flops, ORDERS[form.leading]), "numbers": (form.numbers, HELD[form.held])}
        for measure, (closed, leading) in pairs.items():
            found, theory = order([closed(s) for s in far]), order([leading(s) for s in far])
            ratio = closed(far[1]) / leading(far[1])
            if abs(found - theory) > 0.1 or not 1 / 8 < ratio < 8:
                wrong.append(f"{measure} in {axis}, {family}: {found:.2f}, theory {theory:.2f}, ratio {ratio:.2f}")
    return wrong


@pytest.mark.parametrize("key", list(FORMS), ids=" ".join)
def test_what_leads_in_a_closed_form_is_the_term_of_theory(key: tuple[str, str]) -> None:
    assert departures(FORMS[key]) == []


@pytest.mark.parametrize("size", ["samples", "outputs", "parameters"])
@pytest.mark.parametrize("which", ["flops", "numbers"])
def test_a_closed_form_fitted_to_a_count_of_a_higher_order_is_seen(size: str, which: str) -> None:
    honest = getattr(LIKE_OURS, which)
    more: Any = {which: lambda s: honest(s) * getattr(s, size)}
    less: Any = {which: lambda s: honest(s) / getattr(s, size)}
    assert departures(replace(LIKE_OURS, **more)) != []
    assert departures(replace(LIKE_OURS, **less)) != []


def test_an_implementation_without_closed_form_is_named() -> None:
    (ours,) = implementations(["reference"], globs=["kfac/product"])
    others = [replace(planted(class_by_class), task=Task("ggn", operation)) for operation in ("dense", "step")]
    rows = measure_scaling([others[0], ours, others[1]], quick=True)
    assert [(r.quantity, r.operation, r.wrong) for r in rows if r.reason == NO_FORM] == [
        ("ggn", "dense", False),
        ("ggn", "step", False),
    ]
    assert scaling_markdown(rows).endswith("6 exponents, 0 wrong.\n\nno closed form: planted (ggn/dense, ggn/step)\n")
    assert no_closed_form(rows, 1) == "no closed form: planted (2 tasks)"
    assert no_closed_form([BASE]) == ""
    assert {(row["implementation"], row["reason"]) for row in csv_rows(rows)} >= {("planted", NO_FORM)}


def test_an_implementation_that_counts_nothing_is_red_and_not_green_by_emptiness() -> None:
    rows = of_axis(planted(lambda problem: torch.zeros(problem.num_parameters)), "N")
    assert rows["flops"].wrong
    assert "nothing was counted" in rows["flops"].reason


def test_an_implementation_that_fails_is_red_with_its_reason() -> None:
    def fails(_: Problem) -> Tensor:
        raise RuntimeError("out of order\nmore")

    assert {(row.wrong, row.reason) for row in of_axis(planted(fails), "N").values()} == {(True, "RuntimeError: out of order")}


def test_a_refusal_is_neither_red_nor_silent() -> None:
    one = replace(planted(class_by_class), refuses=lambda problem: "too large")
    assert {(row.wrong, row.reason, row.exponent) for row in of_axis(one, "N").values()} == {(False, "too large", None)}


@pytest.mark.parametrize(("name", "task"), list(FORMS), ids=lambda value: value)
def test_every_closed_form_belongs_to_an_implementation_and_is_positive_and_grows(name: str, task: str) -> None:
    assert name in [one.name for one in implementations(["reference", "backpack", "notebook"], globs=[task])]
    form = FORMS[name, task]
    quantity, operation = task.split("/")
    parsed = next(Task(quantity, each) for each in OPERATIONS if each == operation)
    for family in form.families:
        for axis in axes_of(parsed, family, matrix_free(parsed)):
            found = [layer_sizes(point.problem()) for point in axis.points[:: len(axis.points) - 1]]
            costs = [(form.flops(s), form.numbers(s)) for s in found if s is not None]
            assert len(costs) == 2
            assert all(flops > 0 and numbers > 0 for flops, numbers in costs)
            if axis.name in "PD":
                assert costs[0][0] < costs[1][0]


@pytest.mark.parametrize("name", ["backpack", "fishergauge:closed-form"])
def test_the_closed_form_of_a_dense_matrix_is_exact_to_the_passes_through_the_model(name: str) -> None:
    (one,) = [i for i in implementations(["reference", "backpack"], globs=["fisher/dense"]) if i.name == name]
    form = expected(one)
    assert form is not None
    for axis in axes_of(one.task, "softmax", False, quick=True):
        row = along(one, form, axis)[0]
        for point, cost in zip(axis.points, row.costs, strict=True):
            s = layer_sizes(point.problem())
            assert s is not None
            # beyond it: complements of probabilities, and a second evaluation
            assert form.flops(s) - scaling_slack(s.samples, s.outputs) <= cost <= form.flops(s) + 2 * s.forward


def scaling_slack(samples: int, classes: int) -> int:
    return 2 * samples * classes**2


def test_the_reference_has_the_exponents_of_theory() -> None:
    globs = ["gradient/rows", "kfac/product", "kfac/factors", "fisher/dense"]
    chosen = [one for one in implementations(["reference"], globs=globs) if one.name != "fishergauge:type2"]
    rows = measure_scaling(chosen, quick=True)
    assert len(rows) >= 24
    assert [row for row in rows if row.wrong] == []
    assert all(row.exponent is not None and row.theory is not None for row in rows if row.reason != NO_FORM)


def test_counts_do_not_depend_on_the_run() -> None:
    one = implementations(["reference"], globs=["kfac/product"])
    assert measure_scaling(one, quick=True) == measure_scaling(one, quick=True)


def test_times_are_given_and_never_red() -> None:
    rows = measure_scaling(implementations(["reference"], globs=["kfac/product"])[:1], quick=True, timed=True)
    seconds = [row for row in rows if row.measure == "seconds"]
    assert len(seconds) == 3
    assert all(row.costs and row.theory is None and not row.wrong for row in seconds)


def test_nothing_to_examine_is_an_error() -> None:
    with pytest.raises(ValueError, match="no closed form"):
        measure_scaling([planted(class_by_class)])


def test_one_size_varies_along_each_axis_at_four_points_or_more() -> None:
    for task in (GGN, Task("kfac", "factors")):
        for family in ("mlp", "softmax"):
            for quick in (False, True):
                for axis in axes_of(task, family, matrix_free(task), quick):
                    found = [layer_sizes(point.problem()) for point in axis.points]
                    sizes = [s for s in found if s is not None]
                    assert len(sizes) == len(axis.points) >= 4
                    varies = {"N": [s.samples for s in sizes], "C": [s.outputs for s in sizes]}
                    varies |= {"P": [s.parameters for s in sizes], "D": [s.layers[0].inputs for s in sizes]}
                    x = [point.x for point in axis.points]
                    assert varies[axis.name] == x == sorted(set(x))
                    others = [name for name in "NCP" if name != axis.name and (family == "mlp" or name == "N")]
                    assert all(max(varies[o]) <= 1.02 * min(varies[o]) for o in others)


def test_the_exponent_is_that_of_the_largest_sizes() -> None:
    assert fitted_exponent([1, 2, 4, 8, 16], [100, 100, 16, 64, 256]) == pytest.approx(2)
    assert fitted_exponent([1, 2, 4, 8], [1, 1, 0, 1]) is None
    assert fitted_exponent([1, 2], [1, 2]) is None
    assert FITTED == 3


@pytest.mark.parametrize(
    ("measure", "exponent", "theory", "red"),
    [
        ("flops", 2.0, 1.0, True),
        ("flops", 1.0, 2.0, True),
        ("flops", 1.5, 1.0, True),
        ("flops", 1.2, 1.0, False),
        ("flops", 0.8, 1.0, False),
        ("flops", None, 1.0, True),
        ("flops", 2.0, None, False),
        ("bytes", 2.0, 1.0, True),
        ("bytes", 0.0, 1.0, False),
        ("seconds", 3.0, 1.0, False),
    ],
)
def test_operations_must_grow_as_theory_says_and_bytes_not_faster(
    measure: scaling.Measure, exponent: float | None, theory: float | None, red: bool
) -> None:
    assert bool(judged(measure, exponent, theory)) == red


BASE = ScalingRow("ours", "ggn", "dense", "mlp", "N", "flops", "P = 3", (1, 2, 4), (5.0, 10.0, 20.0), 1.0, 1.01, "N P²", False)


def rows_of_tables() -> Sequence[ScalingRow]:
    wrong = replace(BASE, axis="C", exponent=1.0, theory=0.0, wrong=True, reason="grows")
    failed = replace(BASE, axis="P", costs=(), sizes=(), exponent=None, theory=None, wrong=True, reason="RuntimeError")
    return [BASE, wrong, failed, replace(BASE, measure="bytes", leading="P²")]


def test_the_table_has_a_line_a_task_with_both_exponents_and_names_what_is_wrong() -> None:
    text = scaling_markdown(rows_of_tables())
    line = next(line for line in text.splitlines() if line.startswith("| ours"))
    assert line == "| ours | ggn/dense | mlp | 1.00 (1.01) | **failed** | **1.00 (0.00) ✗** | N P² | 1.00 (1.01) |  |  | P² |"
    assert "4 exponents, 2 wrong." in text
    assert "- ours ggn/dense, flops in C: grows" in text
    heads = next(line for line in text.splitlines() if line.startswith("| implementation"))
    assert heads.count("|") == line.count("|")
    assert scaling_markdown([]) == "Exponents of growth: not counted.\n"


def test_the_inputs_of_softmax_regression_stand_in_the_column_of_p() -> None:
    line = scaling_markdown([replace(BASE, axis="D", family="softmax")]).splitlines()[4]
    assert line.split(" | ")[3:6] == ["", "1.00 (1.01)", ""]


def test_rows_for_csv_are_one_a_point_and_one_where_nothing_was_measured() -> None:
    table = csv_rows(rows_of_tables())
    assert len(table) == 3 + 3 + 1 + 3
    assert len({tuple(row) for row in table}) == 1
    assert [(row["size"], row["cost"]) for row in table[:3]] == [(1, 5.0), (2, 10.0), (4, 20.0)]
    assert (table[6]["size"], table[6]["reason"]) == (None, "RuntimeError")
