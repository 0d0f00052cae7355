"""Tests of the part of the report on the invariance spectrum."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import render_html, render_markdown
from fishergauge.reports.page.spectrum_part import collect
from fishergauge.suites.spectrum.row import Row

HOLDS = Row(
    "exact-fisher", "mlp", "synthetic", "float64", "scaling", 100.0, "outputs", "invariant", "T13", "holds", 1e-12, 1e-9
)
ROWS = (
    HOLDS,
    replace(HOLDS, kappa=1e4, verdict="not-claimed", measured=1e-3, bound=0.5),
    replace(HOLDS, family="sinh", predicted="first order", measured=0.0),
    replace(HOLDS, family="dense", kappa=1e4),
    replace(HOLDS, approximation="gradient", predicted="not invariant", measured=12.0),
    replace(HOLDS, approximation="gradient", family="sinh", verdict="unsupported", measured=None, bound=None),
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M 0 0 L 1 9"/></svg>'
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(1)> </script> {{ 7*7 }} a|b \u202etfel\nnext '


def folder(out: Path, measured: tuple[Row, ...] = ROWS, subjects: tuple[str, ...] = (), **more: Any) -> Path:
    """What the command writes: the rows, the plan, the figure."""
    plan = {"families": ["scaling", "dense", "sinh"], "subjects": list(subjects)}
    provenance = {"command": "fishergauge spectrum --quick --out /home/me/out"}
    content = {
        "schema": 1,
        "provenance": provenance,
        "plan": plan,
        "rows": [{**asdict(row), "red": row.red} for row in measured],
    }
    (out / "spectrum.json").write_text(json.dumps({**content, **more}))
    (out / "spectrum.svg").write_text(SVG)
    return out


def page(part: Part, out: Path) -> tuple[str, str]:
    """HTML of the section alone, and Markdown."""
    document = Document("report", (part,))
    found = re.search(r'<section[^>]*id="spectrum".*?</section>', render_html(document, out), re.DOTALL)
    assert found
    return found[0], render_markdown(document)


def test_a_cell_has_the_sign_and_the_worst_deviation(tmp_path: Path) -> None:
    part = collect(folder(tmp_path))
    assert part.data["families"] == ["scaling", "sinh"]  # nothing was measured at the table's kappa under dense
    first, second = part.data["matrix"]
    assert (first["name"], first["label"], first["yours"]) == ("exact-fisher", "exact Fisher", False)
    assert first["cells"] == [
        {"mark": "=", "deviation": 1e-12, "exponent": "-12.0"},
        {"mark": "~", "deviation": 0.0, "exponent": "-∞"},
    ]
    assert second["cells"] == [{"mark": "x", "deviation": 12.0, "exponent": "1.1"}, {"mark": "-"}]
    assert {one["mark"]: one["count"] for one in part.data["marks"]} == {"=": 1, "~": 1, "x": 1, "-": 1}
    assert (part.status, part.red, part.reds) == ("complete", 0, ())
    assert "Of 4 pairs 2 are invariant as predicted and 1 are not, as predicted; nothing contradicts theory." in part.summary


def test_the_condition_number_that_breaks_it_is_told(tmp_path: Path) -> None:
    part = collect(folder(tmp_path))
    section = next(one for one in part.data["sections"] if one["title"].startswith("The condition number"))
    row = dict(zip(section["head"], section["rows"][0], strict=True))
    assert (row["approximation"], row["family"], row["holds to"], row["breaks"], row["why"]) == (
        "exact-fisher",
        "scaling",
        "1e2",
        "1e4",
        "rounding",
    )
    html, _ = page(part, tmp_path)
    assert '<details id="spectrum-the-condition-number-at-which-it-breaks">' in html


def test_red_is_what_the_command_calls_red(tmp_path: Path) -> None:
    wrong = replace(HOLDS, verdict="violated", measured=0.5, reason="not kept")
    lucky = replace(HOLDS, approximation="gradient", predicted="not invariant", verdict="unexpected", measured=1e-15)
    part = collect(folder(tmp_path, (*ROWS[1:], wrong, lucky)))
    assert part.red == 2
    assert len(part.reds) == 2
    assert part.reds[0].startswith("violated: exact-fisher in mlp, synthetic, float64, scaling, kappa 1e2, outputs: predicted")
    assert [row["cells"][0]["mark"] for row in part.data["matrix"]] == ["!", "!"]
    assert "2 measurements red: 1 violated, 1 unexpected" in part.summary
    assert part.data["sections"][0]["title"] == "Red: 2 rows"
    html, markdown = page(part, tmp_path)
    assert re.search(r"<td class=v>! -0\.3</td>", html)
    assert '<details id="spectrum-red" open>' in html
    assert "### Red: 2 rows" in markdown


def test_subjects_come_first_and_what_they_promise_is_told(tmp_path: Path) -> None:
    mine = replace(HOLDS, approximation="mine", promised=True)
    part = collect(folder(tmp_path, (*ROWS, mine), ("mine", "absent")))
    assert (part.data["matrix"][0]["name"], part.data["matrix"][0]["yours"]) == ("mine", True)
    assert part.data["subjects"] == ["mine"]
    assert "3 approximations (yours: mine)" in part.summary
    html, markdown = page(part, tmp_path)
    assert html.index("<strong>mine</strong> (yours)") < html.index(">exact-fisher<")
    assert '<details id="spectrum-subject-mine-' in html
    assert "| mine (yours) |" in markdown
    assert part.gaps == ()
    idle = collect(folder(tmp_path, (*ROWS, replace(mine, verdict="not-claimed")), ("mine",)))
    assert [gap.what for gap in idle.gaps] == ["what mine promises"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "spectrum.json is not there"),
        ('{"schema": 1, "rows": [', "spectrum.json is damaged"),
        ('{"schema": 7}', "spectrum.json has schema 7"),
        ('{"schema": 1, "rows": []}', "holds no row"),
        ('{"schema": 1, "rows": 3, "plan": 4}', "holds no row"),
    ],
)
def test_a_spectrum_that_cannot_be_read_is_a_gap(content: str | None, why: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "spectrum.json").write_text(content)
    part = collect(tmp_path)
    assert (part.status, part.gaps[0].command) == ("missing", "fishergauge spectrum")
    assert why in part.gaps[0].why


@pytest.mark.parametrize(
    "damage",
    [
        {"family": "unknown"},
        {"measure": "taste"},
        {"verdict": "perhaps"},
        {"predicted": "so"},
        {"kappa": None},
        {"measured": "1"},
        {"bound": True},
        {"reason": None},
        {"promised": "yes"},
    ],
)
def test_rows_that_this_version_does_not_know_are_left_out(damage: dict[str, Any], tmp_path: Path) -> None:
    rows = [{**asdict(row), "new": 1} for row in ROWS] + [{**asdict(HOLDS), **damage}]
    part = collect(_written(tmp_path, rows))
    assert [gap.why[:44] for gap in part.gaps] == ["spectrum.json holds 1 row that this version "]
    assert part.data["matrix"] == collect(folder(tmp_path)).data["matrix"]


def _written(out: Path, rows: list[Any]) -> Path:
    return folder(out, (), rows=rows)


def test_rows_without_a_field_or_no_rows_at_all_are_counted(tmp_path: Path) -> None:
    part = collect(_written(tmp_path, [asdict(HOLDS), "text", {"approximation": "a"}, [1]]))
    assert "3 rows" in part.gaps[0].why


@pytest.mark.parametrize("text", [HOSTILE, HOSTILE + "x" * 10000], ids=["short", "long"])
def test_hostile_texts_are_shown_as_text(text: str, tmp_path: Path) -> None:
    rows = (
        replace(HOLDS, approximation=text, model=text, data=text, source=text),
        replace(HOLDS, approximation=text, verdict="violated", reason=text, model=text),
    )
    part = collect(folder(tmp_path, rows, (text,), provenance={"command": text}))
    html, markdown = page(part, tmp_path)
    assert "<script>" not in html
    assert "<img" not in html
    assert "{{ 7*7 }}" in html
    assert "&lt;script&gt;" in html
    assert "<script>" not in markdown
    assert ("Too long for this file" in markdown) == (text != HOSTILE)
    assert not [line for line in markdown.splitlines() if line.startswith("next")]


def test_a_figure_that_is_missing_or_none_is_a_gap(tmp_path: Path) -> None:
    out = folder(tmp_path)
    assert [one.path for one in collect(out).figures] == ["spectrum.svg"]
    (out / "spectrum.svg").write_text("<svg>")
    part = collect(out)
    assert (part.figures, part.gaps[0].what) == ((), "the figure")
    (out / "spectrum.svg").unlink()
    assert "spectrum.svg is not there" in collect(out).gaps[0].why


def test_the_command_is_told_without_its_folders_and_nothing_else_differs(tmp_path: Path) -> None:
    part = collect(folder(tmp_path))
    assert part.data["command"] == "fishergauge spectrum --quick --out out"
    assert page(part, tmp_path) == page(collect(folder(tmp_path)), tmp_path)
    assert "/home" not in json.dumps(asdict(part))
