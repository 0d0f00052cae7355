"""Where invariance breaks, over how much of the lines, and why; and what is predicted because it equals something else."""

from dataclasses import replace
from typing import Any

import pytest

from fishergauge.reports.spectrum_breaks import Break, break_section, breaks, worst_break
from fishergauge.reports.spectrum_coincidences import coincidence_line, coincidence_section
from fishergauge.reports.spectrum_section import Section
from fishergauge.reports.spectrum_tables import sections
from fishergauge.suites.spectrum.row import COINCIDES, Row

BASE = Row(
    "exact-fisher", "mlp", "synthetic", "float64", "scaling", 100.0, "outputs", "invariant", "T13", "holds", 1e-12, 1e-9, "", 20
)


def row(**changes: Any) -> Row:
    return replace(BASE, **changes)


def lost(kappa: float, **changes: Any) -> Row:
    """A row whose matrix lost an eigenvalue below the cut-off."""
    return row(kappa=kappa, verdict="not-claimed", rank=19, measured=0.5, bound=None, reason="beyond float64", **changes)


def cells(section: Section, name: str) -> list[str]:
    return list(next(line for line in section.rows if line[0] == name))


def test_the_document_shows_the_line_that_holds_least_far() -> None:
    far = [row(kappa=10.0**k, family="diagonal") for k in (1, 2, 6)]
    near = [row(kappa=10.0), BASE, lost(1e3)]
    found = worst_break(breaks([*far, *near]))
    assert found is not None
    assert (found.row.family, found.why) == ("scaling", "rank lost")
    worse = [replace(one, data="digits") for one in near[:1]] + [lost(1e2, data="digits")]
    full = break_section([*far, replace(far[0], approximation="ggn"), *near, *worse], full=True)
    assert [line[:2] for line in full.rows] == [["exact-fisher", "diagonal"], ["exact-fisher", "scaling"], ["ggn", "diagonal"]]
    assert list(full.rows[0][2:8]) == ["1e6", "1e-12", "1e-9", "-", "", "mlp, synthetic"]
    assert list(full.rows[1][2:8]) == ["1e1", "1e-12", "1e-9", "1e2", "rank lost", "mlp, digits"]


def line(family: str, kappas: Any, end: Row | None = None) -> list[Row]:
    found = [row(family=family, kappa=kappa) for kappa in kappas]
    return [*found, *([replace(end, family=family)] if end else [])]


def test_the_terminal_shows_how_far_all_lines_hold_and_what_ends_most() -> None:
    hidden = row(kappa=1e4, verdict="not-claimed", bound=0.5)
    rows = [*line("scaling", [100.0, 1e3], hidden), *line("dense", [], lost(1e2)), *line("kronecker", [100.0], lost(1e3))]
    assert cells(break_section(rows, full=False), "exact-fisher")[1:5] == ["<1e2 to 1e3", "1e2", "2/3", "rank lost"]
    rows += [*line("diagonal", [100.0, 1e12]), *line("affine", [100.0, 1e12])]
    assert cells(break_section(rows, full=False), "exact-fisher")[1:5] == ["<1e2 to 1e12+", "1e3", "4/5", "rank lost"]
    assert cells(break_section(line("affine", [100.0]), full=False), "exact-fisher")[1:5] == ["1e2+", "1e2+", "1/1", "-"]
    low = line("affine", [10.0], lost(1e2))
    assert cells(break_section(low, full=False), "exact-fisher")[1:5] == ["1e1", "1e1", "0/1", "rank lost"]


def test_a_contradiction_is_not_outvoted() -> None:
    rows = [*line("scaling", [100.0], lost(1e3)), *line("kronecker", [100.0], lost(1e3))]
    rows += line("dense", [100.0], row(kappa=1e3, verdict="violated"))
    assert cells(break_section(rows, full=False), "exact-fisher")[4] == "violated"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"verdict": "not-claimed", "bound": 0.5}, "rounding"),
        ({"verdict": "not-claimed", "bound": None, "rank": 18}, "rank lost"),
        ({"verdict": "not-claimed", "bound": None, "rank": 20}, "rank lost"),
        ({"verdict": "not-claimed", "measured": None, "bound": None, "rank": None}, "rounding"),
        ({"verdict": "violated", "measured": 0.1}, "violated"),
    ],
)
def test_why_it_breaks(broken: dict[str, Any], why: str) -> None:
    (found,) = breaks([BASE, row(kappa=1e3, **broken)])
    assert found.why == why


@pytest.mark.parametrize(("bound", "why"), [(0.5, "rounding"), (None, "rank lost")])
def test_what_never_holds_is_worse_than_what_holds_a_little(bound: float | None, why: str) -> None:
    never = Break(None, row(kappa=10.0, family="dense", verdict="not-claimed", rank=3, bound=bound))
    assert worst_break([Break(row(kappa=10.0), None), never]) is never
    assert (never.row.family, never.why, never.shown) == ("dense", why, "<1e1")


def test_what_has_no_meaning_somewhere_does_not_break_there() -> None:
    assert breaks([row(verdict="unsupported", measured=None, bound=None)]) == []
    assert len(breaks([row(verdict="violated")])) == 1


def test_both_precisions_stand_side_by_side() -> None:
    single = [row(dtype="float32", kappa=10.0, measured=1e-5, bound=1e-3), lost(100.0, dtype="float32")]
    section = break_section([BASE, lost(1e7), *single], full=False)
    assert section.head[5:9] == ["holds to f32", "median f32", "at 100 f32", "why f32"]
    assert cells(section, "exact-fisher")[1:9] == ["1e2", "1e2", "1/1", "rank lost", "1e1", "1e1", "0/1", "rank lost"]
    full = cells(break_section([BASE, lost(1e7), *single], full=True), "exact-fisher")
    assert full[2:6] + full[8:12] == ["1e2", "1e-12", "1e-9", "1e7", "1e1", "1e-5", "0.001", "1e2"]


def test_the_cut_off_is_named_only_where_it_breaks_first() -> None:
    rows = [row(kappa=10.0, cut=1e-10), row(kappa=1e2, cut=0.3), row(kappa=1e3, cut=0.4), lost(1e4)]
    assert cells(break_section(rows, full=False), "exact-fisher")[-1] == "1e2"
    assert cells(break_section(rows, full=True), "exact-fisher")[-1] == "1e2: 0.3 of 1e-9"
    late = [row(kappa=1e2), lost(1e3, cut=0.3)]
    assert cells(break_section(late, full=False), "exact-fisher")[-1] == "-"
    single = break_section([row(dtype="float32")], full=False)
    assert (single.head[-1], "1e-8" in single.text()) == ("why f32", False)


EQUAL = [
    row(approximation="kfac-separate", source=f"{COINCIDES}exact Fisher; T13: Amari", family=f) for f in ("affine", "dense")
]
EQUAL += [replace(EQUAL[0], kappa=1e6), replace(EQUAL[0], approximation="ekfac-separate")]
EQUAL += [
    replace(EQUAL[0], approximation="fisher-diagonal", source=f"{COINCIDES}empirical Fisher, layers blocks; T13", data="wine")
]


def test_coincidences_are_listed_in_the_document_and_told_in_a_sentence_on_the_terminal() -> None:
    section = coincidence_section([BASE, *EQUAL])
    assert section.rows == [
        ["kfac-separate", "exact Fisher", "mlp", "synthetic", "float64", "affine, dense", "1e6"],
        ["ekfac-separate", "exact Fisher", "mlp", "synthetic", "float64", "affine", "1e2"],
        ["fisher-diagonal", "empirical Fisher, layers blocks", "mlp", "wine", "float64", "affine", "1e2"],
    ]
    told = (
        "Coincidences, predicted as what they equal: kfac-separate, ekfac-separate = exact Fisher (mlp, synthetic); 1 more in"
    )
    assert coincidence_line([BASE, *EQUAL]) == f"{told} spectrum.md."
    brief, full = (sections([BASE, *EQUAL], ["affine"], full=full) for full in (False, True))
    assert told in " ".join(brief[0].text().split())
    assert "Coincidences" not in "".join([*(one.title for one in brief), full[0].markdown()])
    assert [one for one in full if one.title == "Coincidences"] == [section]
    assert "Coincidences" not in "".join(
        one.text() for kind in (False, True) for one in sections([BASE], ["scaling"], full=kind)
    )


def test_a_prediction_by_coincidence_does_not_count_as_a_line_that_never_breaks() -> None:
    assert breaks(EQUAL) == []
