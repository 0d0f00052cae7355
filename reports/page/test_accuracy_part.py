"""The part "accuracy against cost": read with care, shown as text, the same but for times."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.accuracy_part import collect
from fishergauge.reports.page.page_section import rendered
from fishergauge.reports.page.timed import text_without_times, without_times

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0L9 9" style="stroke: #000000"/></svg>'
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script>",
    "{{ 7*7 }}",
    "x" * 10_000,
    "\u05e7\u05d9\u05e8\u05d5\u05d1 \u202eKFAC",
    "two\nlines",
    "a|b",
)


def row(name: str, problem: str = "mlp-small", **more: Any) -> dict[str, Any]:
    known = {
        "problem": problem,
        "approximation": name,
        "label": name.upper(),
        "kind": "kronecker",
        "target": "fisher",
        "outcome": "measured",
        "reason": "",
        "exact": False,
        "distance": 0.25,
        "step_error": 0.5,
        "step_angle": 12.25,
        "flops": 1200,
        "step_flops": 3400,
        "stored": 56,
        "front": True,
        "dominated_by": "",
        "timed_seconds": 0.0125,
    }
    return {**known, **more}


def content(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    problem = {"name": "mlp-small", "statement": "a perceptron", "why": "layers", "parameters": 978, "samples": 250}
    return {
        "schema": 1,
        "provenance": {"command": "fishergauge accuracy --out /home/me/out/accuracy", "seed": 0},
        "plan": {"quick": True, "damping": 0.1},
        "problems": [{**problem, "result": "K-FAC is worth it."}],
        "rows": list(rows),
        **more,
    }


def written(out: Path, text: str | dict[str, Any], figure: bool = True) -> Path:
    (out / "accuracy").mkdir(exist_ok=True)
    (out / "accuracy" / "accuracy.json").write_text(text if isinstance(text, str) else json.dumps(text))
    if figure:
        (out / "accuracy" / "accuracy.svg").write_text(SVG)
    return out


def page(out: Path) -> tuple[str, str]:
    return rendered(collect(out), out)


def test_nothing_is_a_gap_with_the_command(tmp_path: Path) -> None:
    part = collect(tmp_path)
    assert part.status == "missing"
    assert part.gaps[0].command == "fishergauge accuracy"
    assert "accuracy/accuracy.json is not there" in part.gaps[0].why


def test_the_rows_of_a_problem_are_shown_with_who_is_better(tmp_path: Path) -> None:
    rows = [
        row("dear", flops=5000, front=False, dominated_by="kfac"),
        row("kfac"),
        row("exact", flops=9000, exact=True, distance=1e-17, kind="whole"),
        row("far", flops=1, distance=44.0, front=False, dominated_by="zero-matrix"),
        row("lazy", flops=None, stored=None, front=None, timed_seconds=None),
        row("no", outcome="refused", reason="an embedding"),
    ]
    part = collect(written(tmp_path, content(*rows)))
    assert part.status == "complete"
    assert part.red == 0
    (problem,) = part.data["problems"]
    assert [one["approximation"] for one in problem["rows"]] == ["far", "kfac", "dear", "exact", "lazy"]
    assert (problem["measured"], problem["front"]) == (5, 2)
    html, markdown = page(tmp_path)
    assert "○\u00a0KFAC" in html
    assert "○\u00a0the\u00a0zero\u00a0matrix" in html
    assert "nothing is built" in html
    assert 'data-value="0">exact</td>' in html
    assert "an embedding" in html
    assert "K-FAC is worth it." in html
    assert "out/accuracy</code>" in html
    assert "/home/me" not in html
    assert "| KFAC | 1.2 k | 56 | 0.25 | 12.2 | on the front |" in markdown
    assert "| DEAR |" not in markdown


def test_errors_are_red_and_said(tmp_path: Path) -> None:
    rows = [row("kfac"), row("bad", outcome="error", reason="ValueError: no luck", distance=None)]
    part = collect(written(tmp_path, content(*rows)))
    assert part.red == 1
    assert part.reds == ("bad on mlp-small: ValueError: no luck",)
    html, markdown = page(tmp_path)
    assert "ValueError: no luck" in html
    assert "ValueError: no luck" in markdown


def test_a_subject_is_counted_in_the_summary_and_always_in_markdown(tmp_path: Path) -> None:
    rows = [row("kfac"), row("mine", kind="subject", front=False, dominated_by="kfac")]
    part = collect(written(tmp_path, content(*rows)))
    assert "mine is on the front of 0 of 1 problem." in part.summary
    assert "| MINE |" in page(tmp_path)[1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"schema": 1, "rows": [{"prob', "is damaged"),
        ("[]", "holds no object"),
        ('{"schema": 7, "rows": []}', "has schema 7"),
        ('{"schema": 1}', "holds no measurements"),
        ('{"schema": 1, "rows": [3, null, {}, {"problem": "p"}]}', "holds no measurements"),
    ],
)
def test_what_cannot_be_read_is_a_gap_that_names_file_and_cause(text: str, why: str, tmp_path: Path) -> None:
    part = collect(written(tmp_path, text))
    assert part.status == "missing"
    assert "accuracy/accuracy.json" in part.gaps[0].why
    assert why in part.gaps[0].why
    assert part.gaps[0].command == "fishergauge accuracy"


def test_fields_that_are_unknown_missing_or_of_another_kind_cost_only_themselves(tmp_path: Path) -> None:
    odd = {
        "problem": "p",
        "approximation": "odd",
        "flops": "many",
        "distance": [1],
        "exact": 3,
        "outcome": "dancing",
        "new": {},
    }
    part = collect(
        written(tmp_path, content(row("kfac"), odd, row("bare", distance=None, flops=None, step_angle=None)), figure=False)
    )
    assert [one["name"] for one in part.data["problems"]] == ["mlp-small", "p"]
    assert part.gaps[0].what == "the figure of cost and distance"
    assert part.red == 1  # an outcome that is none is not taken for a success
    assert "odd" in page(tmp_path)[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_shown_as_text(text: str, tmp_path: Path) -> None:
    row_of_text = row(text, label=text, step_reason=text, kind=text, target=text, step_error=None, own_distance=0.5)
    failed = row("f", label=text, outcome="error", reason=text)
    problem = {"name": text, "statement": text, "why": text, "result": text}
    rows = [{**row_of_text, "problem": text}, {**failed, "problem": text}]
    written(tmp_path, content(*rows, problems=[problem], provenance={"command": text}))
    html, markdown = page(tmp_path)
    section = html[html.index('id="accuracy"') : html.index("</section>", html.index('id="accuracy"'))]
    assert "<script" not in section
    assert "<img" not in section
    assert "49" not in re.sub(r"x{100,}", "", section)
    assert len(re.findall(r"<table", section)) == 1
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 7 for line in lines)
    assert "<script" not in markdown
    assert "<img" not in markdown


def test_two_runs_differ_in_what_is_marked_alone(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    written(one, content(row("kfac", timed_seconds=0.5), row("lazy", timed_seconds=None)))
    written(two, content(row("kfac", timed_seconds=0.7), row("lazy", timed_seconds=0.1)))
    assert without_times(collect(one).data) == without_times(collect(two).data)
    for first, second in zip(page(one), page(two), strict=True):
        assert text_without_times(first) == text_without_times(second)
    assert page(one)[0] != page(two)[0]
