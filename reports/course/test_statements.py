import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course import (
    measured_algorithms,
    measured_connections,
    measured_developments,
    measured_geometry,
    measured_methods,
    measured_models,
    measured_networks,
    statements_figure,
)
from fishergauge.reports.course.statement import REFUTED, UNTESTABLE, Figures, Statement, worst_of
from fishergauge.reports.course.statements import STATEMENTS, Course, measured
from fishergauge.reports.options import Options
from fishergauge.suites.seeding import generator

BY_NAME = {statement.name: statement for statement in STATEMENTS}
CONFIRMED = {
    "two-forms",
    "euclidean-steepest",
    "fisher-steepest",
    "fisher-law",
    "gradient-law",
    "newton-update",
    "logistic-fisher",
    "fisher-diagonal",
    "storage",
    "step-as-matrices",
    "damping",
    "trust-region",
    "policy-trust-region",
    "conjugate-gradient",
    "evolution-strategies",
}
RIGHT_VARIANTS = {
    "adam-is-diagonal": {"adam": "no_root"},
    "exact-by-sampling": {"without": "hundred"},
    "adahessian": {"step": "paper", "undefined": "paper"},
}
"""The refuted statements, and which figure of what is right stands in the place of which."""


def verdict(statement: Statement) -> str:
    if statement.name in CONFIRMED:
        return "confirmed"
    return REFUTED if statement.name in RIGHT_VARIANTS else f"confirmed only if {statement.condition}"


@pytest.fixture(scope="module")
def figures() -> dict[str, Figures]:
    return measured(0)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.name)
def test_the_verdict_follows_from_the_figures_and_flips_with_them(statement: Statement, figures: dict[str, Figures]) -> None:
    own = dict(figures[statement.name])
    assert statement.verdict(own) == verdict(statement)
    wrong, right = next(iter(statement.elsewhere + statement.control), None), statement.written[0]
    if statement.name in RIGHT_VARIANTS:
        changed = own | {name: own[other] for name, other in RIGHT_VARIANTS[statement.name].items()}
        assert statement.verdict(changed) == "confirmed"
        assert not any(statement.holds((name,), own) for name in statement.written)
        return
    assert wrong is not None, "nothing that could have refuted it was measured"
    for name in statement.written:
        assert statement.verdict(own | {name: own[wrong]}) == REFUTED
        assert statement.verdict(own | {name: math.nan}) == REFUTED
    for name in statement.control:
        assert statement.verdict(own | {name: own[right]}) == UNTESTABLE
    for name in statement.premises:
        assert statement.verdict(own | {name: 0.01}) == UNTESTABLE
        assert statement.judged(own | {name: 0.01}).reason.endswith(f"worthless here: {name} fails.")
    if statement.elsewhere:
        assert statement.verdict(own | dict.fromkeys(statement.elsewhere, own[right])) == "confirmed"
        assert all(not statement.holds((name,), own) for name in statement.elsewhere), "a setting that adds no condition"


def test_the_verdicts_do_not_depend_on_what_was_drawn() -> None:
    for seed in (1, 2):
        assert {name: BY_NAME[name].verdict(own) for name, own in measured(seed).items()} == {
            statement.name: verdict(statement) for statement in STATEMENTS
        }


def scaled(function: Callable[..., Any], factor: float = 1.01) -> Callable[..., Any]:
    return lambda *args, **kwargs: factor * function(*args, **kwargs)


class _Scaled:
    """An operator that is wrong by a hundredth, or whose blocks alone are."""

    def __init__(self, matrix: Any, factor: float = 1.01) -> None:
        self.matrix, self.factor = matrix, factor

    def dense(self) -> torch.Tensor:
        wrong: torch.Tensor = self.factor * self.matrix.dense()
        return wrong

    def block_diagonal(self) -> torch.Tensor:
        wrong: torch.Tensor = 1.01 * self.matrix.block_diagonal()
        return wrong


def operator(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: _Scaled(function(*args, **kwargs))


def derivative(transform: Callable[..., Any], factor: float = 1.01) -> Callable[..., Any]:
    """A transform of functions whose results are wrong by a factor."""
    return lambda *args: scaled(transform(*args), factor)


def skewed(matrix: torch.Tensor) -> torch.Tensor:
    return matrix + 0.1 * matrix.diagonal().mean() * torch.ones_like(matrix)


PLANTS: list[tuple[str, Any, str, Callable[[Any], Any]]] = [
    ("two-forms", measured_geometry, "hessian", derivative),
    ("coordinate-invariance", measured_geometry, "logistic_fisher", scaled),
    ("theorem-2.1", measured_geometry, "logistic_fisher", lambda f: lambda *a: skewed(f(*a))),
    ("fisher-law", measured_geometry, "logistic_fisher", scaled),
    ("gradient-law", measured_geometry, "jacrev", derivative),
    ("natural-gradient-law", measured_geometry, "logistic_fisher", scaled),
    ("curvature", measured_geometry, "gauss_curvature", scaled),
    ("positive-definite", measured_geometry, "logistic_fisher", lambda _: lambda x, _: torch.ones(3, 3).double()),
    ("linear-step", measured_models, "grad", derivative),
    ("newton-update", measured_models, "hessian", derivative),
    ("logistic-fisher", measured_models, "logistic_fisher", scaled),
    ("gaussian-mean", measured_models, "hessian", derivative),
    ("network-fisher", measured_networks, "ggn", operator),
    ("block-diagonal", measured_networks, "fisher", lambda f: lambda p: _Scaled(f(p), 1.0)),
    ("kronecker-order", measured_networks, "fisher", operator),
    ("input-covariance", measured_networks, "fisher", operator),
    ("gradient-covariance", measured_networks, "fisher", operator),
    ("sign", measured_networks, "gradient", lambda f: scaled(f, -1.0)),
    ("gauss-newton", measured_algorithms, "output_jacobian", scaled),
    ("information-equality", measured_connections, "fisher", operator),
    ("mirror-descent", measured_connections, "negative_entropy", scaled),
    ("entropy-and-log-partition", measured_connections, "log_partition", scaled),
    ("adam-second-moments", torch.optim, "Adam", lambda f: lambda p, **options: f(p, lr=1e-2, betas=(0.9, 0.81))),
    ("variance-reduction", measured_methods, "logistic_fisher", scaled),
    ("exact-by-sampling", measured_methods, "ggn", operator),
    ("aggregation", measured_methods, "output_jacobian", scaled),
    ("policy-gradient", measured_methods, "pseudo_inverse", scaled),
    ("policy-trust-region", measured_methods, "trust_region_step", scaled),
    ("conjugate-gradient", measured_methods, "conjugate_gradients", scaled),
    ("biased", measured_methods, "logistic_fisher", scaled),
    ("shampoo", measured_developments, "power", scaled),
    ("evolution-strategies", measured_developments, "covariance_fisher", lambda f: lambda S: (skewed(f(S)[0]), f(S)[1])),
    ("variational-objective", measured_developments, "grad", lambda f: derivative(f, -1.0)),
    ("coordinate-ascent", measured_developments, "moments", scaled),
]  # fmt: skip


@pytest.mark.parametrize(("name", "module", "what", "wrong"), PLANTS, ids=[f"{plant[0]}-{plant[2]}" for plant in PLANTS])
def test_a_planted_defect_changes_the_verdict(
    name: str, module: Any, what: str, wrong: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = BY_NAME[name]
    monkeypatch.setattr(module, what, wrong(getattr(module, what)))
    assert statement.verdict(statement.measure(generator("planted", name))) != verdict(statement)


def test_each_difference_between_adam_and_the_diagonal_counts(figures: dict[str, Figures]) -> None:
    own = figures["adam-is-diagonal"]
    assert min(own["root"], own["labels"]) > 0.01  # the root and the labels turn the step, larger batches scale it
    assert own["two"] == pytest.approx(0.5)


def test_the_gravest_seed_counts() -> None:
    statement = BY_NAME["theorem-2.1"]
    rest = dict.fromkeys(statement.elsewhere, 1.0) | {"bound": 1e-12}
    small, large, broken = ({"affine": x, **rest} for x in (1e-16, 1e-13, 1e-3))
    assert worst_of(statement, [small, large]) is large
    assert worst_of(statement, [large, broken, small]) is broken
    apart = BY_NAME["biased"]
    near, far = ({"elsewhere": x, "truth": 0.0, "bound": 1e-12} for x in (0.1, 0.9))
    assert worst_of(apart, [far, near]) is near


def results(seeds: int = 1) -> list[tuple[Cell, Record]]:
    course = Course()
    return [(cell, course.run(cell, "cpu")) for cell in course.cells(Options(("course",), seeds=seeds))]


def test_a_record_is_plain_finite_and_repeats_exactly_without_touching_the_global_generator() -> None:
    before = torch.get_rng_state()
    record, again = results()[0][1], results()[0][1]
    assert torch.equal(torch.get_rng_state(), before)
    assert json.loads(json.dumps(record, allow_nan=False)) == record == again
    assert all(math.isfinite(row["value"]) and row["value"] >= 0 for row in record["rows"])


def test_every_statement_reaches_the_ledger_with_its_verdict_and_the_artefacts_are_written(tmp_path: Path) -> None:
    course, found = Course(), results()
    entries = course.entries("course", found)
    assert [entry.id for entry in entries] == [f"COURSE.{number}" for number in range(1, len(STATEMENTS) + 1)]
    assert [entry.verdict for entry in entries] == [verdict(statement) for statement in STATEMENTS]
    assert all("{" not in entry.as_published + entry.as_it_should_be for entry in entries)
    names = {path.name for path in course.artefacts("course", found, tmp_path)}
    assert names == {"course_results.csv", "course_summary.json", "course_figure.png", "course_figure.pdf", "course_figure.svg"}
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    assert sum(json.loads((tmp_path / "course_summary.json").read_text())["verdicts"].values()) == len(STATEMENTS)


def test_the_sections_follow_one_another_and_names_are_unique() -> None:
    sections = [statement.section for statement in STATEMENTS]
    assert sections == sorted(sections)
    assert set(sections) == set(range(1, 11))
    assert len(BY_NAME) == len(STATEMENTS)


def test_one_seed_that_refutes_is_enough() -> None:
    cell, record = results()[0]
    broken = [row | {"value": 1.0} if row["figure"] == "affine" else row for row in record["rows"]]
    found = [(cell, record), (Cell("course", "corrected", "course", 1), {"rows": broken})]
    entries = {entry.id: entry.verdict for entry in Course().entries("course", found)}
    number = [statement.name for statement in STATEMENTS].index("theorem-2.1") + 1
    assert {name for name, found in entries.items() if found == REFUTED} >= {f"COURSE.{number}"}
    assert sum(verdict == REFUTED for verdict in entries.values()) == len(RIGHT_VARIANTS) + 1


def test_the_figure_shows_every_statement_once_and_divides_no_section(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[list[statements_figure.Line]] = []
    monkeypatch.setattr(statements_figure, "_draw_column", lambda axis, lines, height: shown.append(list(lines)))
    lines = [statements_figure.Line(s, f"{s}.{i}", "confirmed", 0, None, None, 0, False) for s in (1, 2, 3) for i in range(4)]
    statements_figure.draw_course(lines, tmp_path)
    assert shown[0] + shown[1] == lines
    assert not {line.section for line in shown[0]} & {line.section for line in shown[1]}


def test_statements_without_figures_are_left_out() -> None:
    cell, record = results()[0]
    rows = [row for row in record["rows"] if row["statement"] in ("sign", "biased")]
    assert len(Course().entries("course", [(cell, {"rows": rows})])) == 2
    assert Course().entries("course", []) == []


def test_quick_takes_one_seed_and_seeds_are_honoured() -> None:
    assert [
        len(Course().cells(Options(("course",), quick=q, seeds=s))) for q, s in ((True, None), (False, None), (True, 5))
    ] == [
        1,
        3,
        5,
    ]
