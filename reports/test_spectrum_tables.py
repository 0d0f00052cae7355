"""The tables say what the rows say: worst deviations, contradictions, where it breaks and why."""

import math
from dataclasses import replace
from typing import Any

import pytest

from fishergauge.reports.spectrum_figure import KINDS
from fishergauge.reports.spectrum_section import Section
from fishergauge.reports.spectrum_summary import damping_costs, examined, kernel_costs, matrix
from fishergauge.reports.spectrum_tables import (
    SHORT,
    damping_section,
    kernel_section,
    matrix_section,
    red_section,
    sections,
    subject_section,
    summary_line,
)
from fishergauge.suites.spectrum.approximations import approximations
from fishergauge.suites.spectrum.models import MODELS
from fishergauge.suites.spectrum.row import COINCIDES, Row

BASE = Row(
    "exact-fisher", "mlp", "synthetic", "float64", "scaling", 100.0, "outputs", "invariant", "T13", "holds", 1e-12, 1e-9, "", 20
)


def row(**changes: Any) -> Row:
    return replace(BASE, **changes)


NOT = row(approximation="gradient", predicted="not invariant", measured=20.0, bound=1e-12)
REFUSED = row(family="dense", approximation="kfac-joint", verdict="unsupported", measured=None, bound=None, predicted="unknown")


def cells(section: Section, name: str) -> list[str]:
    return list(next(line for line in section.rows if line[0] == name))


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "-12="),
        ({"measured": 0.0}, "-oo="),
        ({"family": "sinh", "predicted": "first order", "kappa": 1.0}, "-12~"),
        ({"predicted": "not invariant", "measured": 3.0}, "0x"),
        ({"predicted": "not invariant", "measured": 1e300}, "99x"),
        ({"verdict": "violated", "measured": 1e-3}, "-3!"),
        ({"predicted": "not invariant", "verdict": "unexpected"}, "-12!"),
        ({"verdict": "error", "measured": None, "bound": None}, "!"),
        ({"verdict": "unsupported", "measured": None, "bound": None}, "-"),
        ({"verdict": "not-claimed", "measured": 0.5}, "?"),
        ({"verdict": "not-claimed", "measured": 0.5, "bound": None}, "?"),
        ({"verdict": "not-claimed", "measured": None, "bound": None}, "?"),
        ({"predicted": "unknown", "verdict": "not-claimed", "promised": False}, "-12*"),
        ({"predicted": "unknown", "verdict": "not-claimed", "promised": False, "bound": 0.5}, "?"),
        ({"predicted": "unknown", "verdict": "not-claimed", "promised": False, "bound": None}, "?"),
    ],
)
def test_a_cell_of_the_matrix_shows_exponent_and_agreement(changes: dict[str, Any], shown: str) -> None:
    rows = [row(**changes)]
    assert cells(matrix_section(rows, [rows[0].family], full=False), "exact-fisher") == ["exact-fisher", shown]


def test_the_matrix_is_the_worst_over_models_and_data_at_its_condition_number() -> None:
    more = [row(model="cnn", measured=1e-10), row(data="digits", measured=1e-11), row(kappa=1e4, measured=1e-2)]
    other = [row(dtype="float32", measured=1e-3), row(measure="damped", predicted="not invariant", measured=0.3)]
    assert matrix([BASE, *more, *other])["exact-fisher", "scaling"].deviation == 1e-10
    assert matrix([BASE, *more], "mlp")["exact-fisher", "scaling"].deviation == 1e-11
    assert matrix([row(dtype="float32", measured=1e-3)])["exact-fisher", "scaling"].deviation == 1e-3


def test_a_prediction_for_some_models_only_has_a_mark_of_its_own() -> None:
    other = row(model="cnn", predicted="not invariant", measured=0.5)
    assert matrix([BASE, other])["exact-fisher", "scaling"].mark == "/"


@pytest.mark.parametrize("bound", [0.5, None])
def test_number_and_mark_come_from_the_rows_that_are_decided(bound: float | None) -> None:
    hidden = row(model="cnn", verdict="not-claimed", measured=0.5, bound=bound)
    other = replace(hidden, model="softmax", predicted="not invariant")
    entry = matrix([hidden, BASE, other])["exact-fisher", "scaling"]
    assert entry == (1e-12, "=", False, 2)
    assert cells(matrix_section([hidden, BASE, other], ["scaling"], full=False), "exact-fisher")[1] == "-12="
    assert cells(matrix_section([hidden, BASE, other], ["scaling"], full=True), "exact-fisher")[1] == "-12.0 =, 2?"
    free = replace(BASE, model="cnn", predicted="unknown", verdict="not-claimed", promised=False, measured=0.5)
    assert matrix([free, BASE])["exact-fisher", "scaling"] == (1e-12, "=", False, 0)


@pytest.mark.parametrize("where", [{"measure": "order"}, {"kappa": 1e7}, {"dtype": "float32"}, {"model": "cnn"}])
def test_a_contradiction_anywhere_marks_the_cell(where: dict[str, Any]) -> None:
    assert matrix([BASE, row(verdict="violated", **where)])["exact-fisher", "scaling"].mark == "!"


def test_a_family_without_a_map_stays_blank_and_short_names_are_explained_and_distinct() -> None:
    section = matrix_section([BASE, NOT], ["scaling", "hidden-affine"], full=False)
    assert section.head == ["approximation", "feat", "h-af"]
    assert cells(section, "gradient") == ["gradient", "1x", ""]
    assert "feat scaling, h-af hidden-affine." in section.text()
    assert len(set(SHORT.values())) == len(SHORT)
    assert matrix_section([BASE], ["scaling"], full=True).rows == [["exact-fisher", "-12.0 ="]]


def test_damping_is_compared_where_only_lambda_i_should_lose_invariance() -> None:
    def triple(model: str, damped: float, **changes: Any) -> list[Row]:
        return [
            row(model=model, **changes),
            row(model=model, measure="damped by T'T", measured=1e-13),
            row(model=model, measure="damped", predicted="not invariant", measured=damped),
        ]

    cost = damping_costs([*triple("mlp", 0.2), *triple("cnn", 0.6), *triple("softmax", 0.9, verdict="violated")])[
        "exact-fisher"
    ]
    assert (cost.cells, cost.metric, cost.damped) == (2, (1e-13, 1e-13), (0.4, 0.6))
    kept = [replace(one, predicted="invariant") for one in triple("mlp", 1e-13)]
    assert damping_costs(kept) == {}
    for place in range(3):
        hidden = triple("mlp", 0.2)
        hidden[place] = replace(hidden[place], verdict="not-claimed", bound=None)
        assert damping_costs(hidden) == {}
    rows = [replace(one, approximation=name) for name in ("a", "b", "c") for one in triple("mlp", 0.2)]
    brief = damping_section(rows, full=False)
    assert [len(line) for line in brief.rows] == [8, 8]
    assert [line[0] for line in brief.rows] == ["a", "b"]
    assert damping_section(rows, full=True).rows[0] == ["a", "1", "1e-12", "1e-12", "1e-13", "1e-13", "0.2", "0.2"]


def test_outputs_and_parameters_are_told_apart_by_model() -> None:
    whole = [BASE, row(measure="parameters", measured=1e-11)]
    singular = [replace(one, model="softmax") for one in whole]
    singular[1] = replace(singular[1], predicted="not invariant", measured=0.4)
    found = kernel_costs([*whole, *singular])
    assert (found["mlp"].agreeing, found["mlp"].mixed) == ((1e-11, 1), (0.0, 0.0, 0))
    assert (found["softmax"].agreeing, found["softmax"].mixed) == ((0.0, 0), (0.4, 0.4, 1))
    hidden = [replace(one, family="dense", verdict="not-claimed", measured=0.9, bound=None) for one in (whole[1], singular[1])]
    plain = [replace(one, family="dense") for one in (whole[0], singular[0])]
    assert kernel_costs([*whole, *singular, *hidden, *plain]) == found
    assert cells(kernel_section([*whole, *singular]), "softmax")[1:] == ["1", "1e-12", "0", "-", "1", "0.4 to 0.4", "scaling"]


def test_what_a_subject_promises_comes_first_with_the_worst_of_it() -> None:
    mine = [
        row(
            approximation="mine",
            family="affine",
            predicted="not invariant",
            verdict="not-claimed",
            measured=0.4,
            promised=False,
        ),
        row(approximation="mine"),
        row(approximation="mine", model="cnn", measured=0.2, verdict="violated"),
        replace(REFUSED, approximation="mine"),
    ]
    section = subject_section([*mine, NOT], "mine")
    assert section.rows == [
        ["scaling", "promised", "0.2", "1e-9", "1 holds, 1 violated", "cnn, synthetic, float64"],
        ["affine", "not promised", "0.4", "", "1 not-claimed", "mlp, synthetic, float64"],
        ["dense", "", "-", "", "1 unsupported", "mlp, synthetic, float64"],
    ]
    free = replace(mine[0], family="scaling", model="softmax", measured=0.9)
    hidden = row(approximation="mine", model="softmax", verdict="not-claimed", measured=0.9, bound=None)
    for other in (free, hidden, replace(hidden, bound=0.2)):
        first = subject_section([other, *mine[:2], *mine[3:]], "mine").rows[0]
        assert (*first[:4], first[5]) == ("scaling", "promised", "1e-12", "1e-9", "mlp, synthetic, float64")
    assert subject_section([free, hidden], "mine").rows[0][1:5] == ["promised", "0.9", "-", "2 not-claimed"]
    assert [one.model for one in examined(mine, "mine")] == ["mlp", "cnn"]
    assert not examined(mine[:1], "mine")
    assert not examined([replace(mine[1], verdict="not-claimed", reason="beyond float64")], "mine")


def test_red_rows_are_all_in_the_document_and_by_kind_on_the_terminal() -> None:
    bad = [row(verdict="violated", family=name, measured=value) for name, value in (("scaling", 0.1), ("diagonal", 0.7))]
    bad += [
        replace(bad[0], approximation="ggn"),
        row(verdict="error", predicted="unknown", measured=None, reason="KeyError: 'w'"),
    ]
    bad.append(replace(NOT, verdict="unexpected", reason="it is invariant, although nothing predicts it"))
    assert len(red_section(bad, full=True).rows) == 5
    assert red_section(bad, full=True).rows[0][:8] == [
        *("violated", "exact-fisher", "mlp, synthetic, float64, scaling", "1e2", "outputs", "invariant", "0.1", "1e-9")
    ]
    text = " ".join(red_section(bad, full=False).text().split())
    assert text.startswith(
        "Red: 5 rows violated: exact-fisher in mlp, synthetic, float64, diagonal, kappa 1e2, outputs: predicted"
    )
    assert "measured 0.7, bound 1e-9; T13; also ggn; also under scaling" in text
    assert "predicted unknown; T13; KeyError: 'w'" in text
    assert "although nothing predicts it" in text
    many = [row(verdict="error", reason=f"reason {i}") for i in range(30)]
    few = red_section(many, full=False, most=5)
    assert len(few.below) == 6
    assert few.text().splitlines()[-1] == "  and 25 more kinds in spectrum.md"


@pytest.mark.parametrize("verdict", ["error", "violated"])
def test_a_subject_under_test_is_named_before_all_others(verdict: Any) -> None:
    bad = [row(verdict="violated", approximation="ggn", measured=0.9), row(verdict=verdict, measured=0.8)]
    bad += [row(verdict=verdict, approximation="mine", measured=0.1, reason=reason) for reason in ("", "KeyError")]
    lines = red_section(bad, full=False, subjects=["mine"]).below
    assert [line.split()[:2] for line in lines[:2]] == [[f"{verdict}:", "mine"]] * 2
    assert "also exact-fisher" in lines[0] or "also ggn" in lines[0]
    assert [line[1] for line in red_section(bad, full=True, subjects=["mine"]).rows[:2]] == ["mine", "mine"]
    (section,) = [one for one in sections(bad, ["scaling"], ["mine"]) if one.title.startswith("Red")]
    assert section.below == lines


def test_the_summary_counts_cells_and_verdicts() -> None:
    rows = [BASE, row(kappa=1e3), row(kappa=1e4, verdict="not-claimed"), row(family="dense", verdict="error"), NOT]
    assert summary_line(rows, 2.345) == "3 cells, 5 measurements: 3 holds, 1 error, 1 not-claimed; 2.3 s"
    assert summary_line(rows).endswith("1 not-claimed")


def test_sections_without_content_are_left_out_and_lines_stay_narrow() -> None:
    rows = [BASE, NOT, REFUSED]
    assert [one.title.split()[0] for one in sections(rows, ["scaling"])] == ["Invariance", "The"]
    assert "## Invariance" in sections(rows, ["scaling"], full=True)[0].markdown()
    wide = [row(family=family, model="softmax-reduced", approximation="fisher-parameter-blocks") for family in SHORT]
    wide += [replace(one, dtype="float32") for one in wide]
    wide += [row(family=f, model="softmax-reduced", measure="parameters", predicted="not invariant") for f in SHORT]
    wide = [replace(one, approximation="fisher-parameter-blocks", measured=6e-4, bound=9e-3) for one in wide]
    same = f"{COINCIDES}empirical Fisher, parameters blocks; T13"
    wide += [replace(one, source=same, approximation="fisher-diagonal") for one in wide]
    made = sections(wide, list(SHORT), ["fisher-parameter-blocks"])
    assert "Coincidences, predicted as what they equal: fisher-diagonal = empirical Fisher" in made[0].text()
    for section in made:
        assert max(map(len, section.text().splitlines())) <= 120


@pytest.mark.parametrize(("models", "most"), [(("mlp", "softmax-reduced"), 73), (tuple(MODELS), 83)])
def test_a_run_fits_on_a_terminal(models: tuple[str, ...], most: int) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"measure": "damped by T'T"},
        {"measure": "damped", "predicted": "not invariant"},
        {"measure": "parameters", "predicted": "not invariant"},
    ]
    rows = [
        row(approximation=name, model=model, dtype=dtype, **kind)
        for name in approximations()
        for model in models
        for dtype in ("float64", "float32")
        for kind in kinds
    ]
    adaptive = [*KINDS["adaptive"]]  # invariant under families without a condition number alone
    rows = [replace(one, family="permutation", kappa=1.0) if one.approximation in adaptive else one for one in rows]
    same = f"{COINCIDES}empirical Fisher, parameters blocks; T13"
    equal = ("fisher-parameter-blocks", "kfac-separate", "ekfac-separate")
    rows += [replace(one, family="affine", source=same) for one in rows if one.approximation in equal]
    text = "\n\n".join(section.text() for section in sections(rows, list(SHORT)))
    assert all(f"\n{name} " in text for name in (*approximations(), *models))
    assert len(text.splitlines()) <= most  # the command adds two lines


def test_a_section_is_aligned_and_its_markdown_escapes_bars() -> None:
    section = Section("title", ["a", "long", "b"], [["xyz", "|1|", "12345"]], ["above"], ["below"])
    assert section.text() == "title\n  above\na   long     b\nxyz  |1| 12345\n  below"
    assert (
        section.markdown() == "## title\n\nabove\n\n| a | long | b |\n| --- | ---: | ---: |\n| xyz | \\|1\\| | 12345 |\n\nbelow"
    )


def test_an_exponent_of_nothing_is_not_a_number() -> None:
    assert math.isnan(matrix([REFUSED])["kfac-joint", "dense"].exponent)


def test_a_red_line_speaks_of_the_outputs_and_names_the_other_measures() -> None:
    outputs = row(verdict="violated", measured=1e-3, bound=1e-9)
    worse = replace(outputs, measure="damped by T'T", measured=0.9)
    text = " ".join(red_section([worse, outputs], full=False).text().split())
    assert "outputs: predicted" in text
    assert "also damped by T'T" in text
    assert "measured 0.9" in " ".join(red_section([worse], full=False).text().split())
