"""Tests of the part of the report on the paper's claims."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.ledger import COURSE, GGN_EXPERIMENTS, PAPER, LedgerEntry, write_ledger
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.inline_svg import inline_svg
from fishergauge.reports.page.paper_captions import CAPTIONS
from fishergauge.reports.page.paper_figures import experiment_figures
from fishergauge.reports.page.paper_part import collect
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import render_html, render_markdown
from fishergauge.reports.page.timed import text_without_times, without_times
from fishergauge.reports.targets import TARGETS

QUICK = "A quick run, with fewer seeds and coarser grids than the paper's: verdicts can differ from a full run's."
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M 0 0 L {0} 9"/></svg>'
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(1)> </script> {{ 7*7 }} a|b \u202etfel\nnext '


def entry(id: str = "E1.1", experiment: str = "e1", data: str = "synthetic", **more: Any) -> LedgerEntry:
    values = {"id": id, "experiment": experiment, "data": data, "source": PAPER, "verdict": "confirmed", "reason": "so it is"}
    values |= {"statement": "it holds", "published": "+1 %", "as_published": "+2 %", "as_it_should_be": "+3 %"}
    return LedgerEntry(**{**values, **more})


ENTRIES = (
    entry("E1.1"),
    entry("E1.1", data="digits", verdict="confirmed only if the steps are small"),
    entry("E1.10", verdict="not testable as published"),
    entry("E1.2", verdict="refuted"),
    entry("JACOBIAN.1", "jacobian", "line", source=f"{GGN_EXPERIMENTS}; section on times", as_it_should_be="in 3 s"),
    entry("COURSE.1", "course", "small problems", source=f"{COURSE}, section 4", verdict="refuted"),
)


def folder(out: Path, entries: tuple[LedgerEntry, ...] = ENTRIES, remarks: tuple[str, ...] = ()) -> Path:
    write_ledger(entries, out, remarks=remarks)
    return out


def page(part: Part, out: Path) -> tuple[str, str]:
    """HTML of the section alone, and Markdown."""
    document = Document("report", (part,))
    html = render_html(document, out)
    found = re.search(r'<section[^>]*id="paper".*?</section>', html, re.DOTALL)
    assert found
    return found[0], render_markdown(document)


def test_claims_are_grouped_by_source_and_counted_by_verdict(tmp_path: Path) -> None:
    part = collect(folder(tmp_path))
    assert part.data["counts"] == {"confirmed": 2, "confirmed only if": 1, "refuted": 2, "not testable as published": 1}
    assert [(group["name"], len(group["claims"])) for group in part.data["groups"]] == [("paper", 4), ("ggn", 1), ("course", 1)]
    assert [(one["id"], one["data"]) for one in part.data["groups"][0]["claims"]] == [
        ("E1.1", "synthetic"),
        ("E1.1", "digits"),
        ("E1.2", "synthetic"),
        ("E1.10", "synthetic"),
    ]
    assert part.data["groups"][0]["experiments"] == [{"name": "e1", "title": TARGETS["e1"], "claims": 4}]
    assert [group["claims"][0]["source"] for group in part.data["groups"]] == ["", "section on times", "section 4"]
    assert "6 claims of the paper, the course and GGNExperiments, tested in 3 experiments" in part.summary
    assert (part.red, part.reds) == (0, ())


def test_a_condition_is_kept_in_its_words(tmp_path: Path) -> None:
    part = collect(folder(tmp_path))
    claim = part.data["groups"][0]["claims"][1]
    assert (claim["verdict"], claim["condition"]) == ("confirmed only if", "the steps are small")
    html, markdown = page(part, tmp_path)
    row = re.search(r'<tr id="paper-e1-1-digits".*?</tr>', html)
    assert row
    assert re.search(r"confirmed only if</span> the steps are small", row[0])
    assert 'data-verdict="confirmed only if"' in row[0]
    assert "**confirmed only if** the steps are small" in markdown


def test_both_protocols_stand_side_by_side_and_the_reason_below(tmp_path: Path) -> None:
    html, _ = page(collect(folder(tmp_path)), tmp_path)
    row = re.search(r'<tr id="paper-e1-2-synthetic".*?</tr>', html)
    assert row
    assert re.search(
        "<details><summary>it holds</summary>.*so it is.*</details></td><td>.1 %</td><td>.2 %</td><td>.3 %</td>", row[0]
    )
    assert '<a href="#paper-e1-2-synthetic">E1.2</a>' in row[0]
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_what_was_timed_is_marked(tmp_path: Path) -> None:
    part = collect(folder(tmp_path))
    assert "in 3 s" not in json.dumps(without_times(asdict(part)))
    html, _ = page(part, tmp_path)
    assert "in 3 s" in html
    assert "in 3 s" not in text_without_times(html)


def test_a_quick_run_says_so_and_its_gaps_ask_for_a_quick_one(tmp_path: Path) -> None:
    part = collect(
        folder(tmp_path, remarks=(QUICK, "Incomplete: 2 parts of the run failed, and what rests on them is missing."))
    )
    html, markdown = page(part, tmp_path)
    assert QUICK.replace("'", "&#39;") in html
    assert f"> {QUICK}" in markdown
    assert [gap.command for gap in part.gaps] == ["fishergauge reproduce all --quick"] * 3
    others = ", ".join(name for name in TARGETS if name not in ("e1", "jacobian", "course"))
    assert [gap.what for gap in part.gaps] == [f"claims of {others}", "parts of the run", "4 figures"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "claims.json is not there"),
        ("[1]", "holds no object"),
        ('{"schema": 1, "claims": [{"id": "E1', "claims.json is damaged"),
        ('{"schema": 2, "claims": []}', "claims.json has schema 2"),
        ('{"schema": 1, "claims": []}', "holds no claim"),
        ('{"schema": 1, "claims": "none"}', "holds no claim"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_a_gap(content: str | None, why: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "claims.json").write_text(content)
    part = collect(tmp_path)
    assert (part.status, part.gaps[0].command) == ("missing", "fishergauge reproduce all")
    assert why in part.gaps[0].why


def test_what_this_version_does_not_know_costs_nothing_but_itself(tmp_path: Path) -> None:
    folder(tmp_path)
    content = json.loads((tmp_path / "claims.json").read_text())
    content["claims"] += ["text", {"verdict": "confirmed"}, {**content["claims"][0], "id": "E9.9", "verdict": "perhaps"}]
    content["claims"].append({"id": "NEW.1", "experiment": "new", "verdict": "refuted", "source": None, "more": 1})
    (tmp_path / "claims.json").write_text(json.dumps(content))
    part = collect(tmp_path)
    assert [group["name"] for group in part.data["groups"]] == ["paper", "ggn", "course", "other"]
    assert part.data["groups"][3]["experiments"] == [{"name": "new", "title": "", "claims": 1}]
    assert next(gap.why for gap in part.gaps if gap.what == "some claims").startswith("claims.json holds 3 that")
    page(part, tmp_path)


@pytest.mark.parametrize("text", [HOSTILE, HOSTILE + "x" * 10000], ids=["short", "long"])
def test_hostile_texts_are_shown_as_text(text: str, tmp_path: Path) -> None:
    texts = dict.fromkeys(("statement", "published", "as_published", "as_it_should_be", "reason"), text)
    hostile = entry(text[:60], verdict=f"confirmed only if {text}", **texts, data=text, source=PAPER + text)
    others = [entry(f"X.{i}", text, source=source + text, **texts) for i, source in enumerate((COURSE, GGN_EXPERIMENTS, ""))]
    part = collect(folder(tmp_path, (hostile, *others), (text,)))
    assert len(part.data["groups"]) == 4
    html, markdown = page(part, tmp_path)
    assert "<script>" not in html
    assert "<img" not in html
    assert "{{ 7*7 }}" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>" not in markdown
    assert "&lt;script&gt;" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_every_experiment_has_a_caption() -> None:
    assert CAPTIONS.keys() == TARGETS.keys()
    assert all(60 < len(text) < 400 and text.endswith(".") for text in CAPTIONS.values())


def test_figures_fit_into_their_room_and_the_others_are_linked(tmp_path: Path) -> None:
    for name in ("synthetic/E1", "digits/E1", "policy/policy", "posterior/posterior"):
        path = tmp_path / f"{name}_figure.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SVG.format(1))
    run = [("e1", "digits"), ("e1", "synthetic"), ("policy", ""), ("posterior", ""), ("e2", "digits")]
    every = experiment_figures(tmp_path, run, "command")
    assert [one.name for one in every.shown] == ["paper-e1-synthetic", "paper-e1-digits", "paper-posterior", "paper-policy"]
    assert every.shown[0].title == f"E1 on synthetic: {TARGETS['e1']}"
    assert every.linked == ()
    assert [(gap.what, gap.command) for gap in every.gaps] == [("1 figure", "command")]
    assert "digits/E2_figure.svg" in every.gaps[0].why
    size = len(inline_svg(SVG.format(1), "paper-e1-synthetic"))
    few = experiment_figures(tmp_path, run, "command", budget=2 * size)
    assert [one.name for one in few.shown] == ["paper-e1-synthetic", "paper-posterior"]
    assert [one["path"] for one in few.linked] == ["digits/E1_figure.svg", "policy/policy_figure.svg"]


def test_a_figure_that_is_none_is_a_gap(tmp_path: Path) -> None:
    out = folder(tmp_path)
    (out / "synthetic").mkdir()
    (out / "synthetic" / "E1_figure.svg").write_text("<svg")
    part = collect(out)
    assert "synthetic/E1_figure.svg" in next(gap.what for gap in part.gaps if "cannot be shown" in gap.why)
    assert part.figures == ()


def test_the_command_is_that_of_the_ledger_without_its_folders(tmp_path: Path) -> None:
    out = folder(tmp_path)
    entry_of = {"command": "fishergauge reproduce all --out /home/me/out", "date": "2026-11-28T10:00:00+00:00"}
    (out / "provenance.json").write_text(json.dumps({"schema": 1, "artefacts": {"claims.json": entry_of}}))
    part = collect(out)
    assert (part.data["command"], part.data["timed_date"]) == ("fishergauge reproduce all --out out", "2026-11-28")
    html, _ = page(part, out)
    assert "2026-11-28" not in text_without_times(html)
    (out / "provenance.json").write_text("{")
    assert "command" not in collect(out).data
