"""The part on libraries: the ledger is always there, a run beside it where there was one, and what is missing is said."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.example_document import ENDLESS, HOSTILE
from fishergauge.reports.page.page_section import Section, section_of
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.peers_findings import link_of
from fishergauge.reports.page.peers_part import collect
from fishergauge.reports.page.rendering import render_html, render_markdown
from fishergauge.reports.page.timed import without_times
from fishergauge.reports.peers_files import content
from fishergauge.reports.peers_tables import cells_csv
from fishergauge.suites.peers import expected_cells, ledger
from fishergauge.suites.peers.judgement import Cell, Status
from fishergauge.suites.peers.ledger import LedgerFinding
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.record import Record
from fishergauge.suites.subject import Subject

COLUMNS = "subject,claim,problem,dtype,status,finding"
COMMAND = "fishergauge peers --only alib --out /somewhere/else/peers"


def finding(id: str, library: str = "alib", kind: str = "defect", **texts: str) -> LedgerFinding:
    given = {
        "version": "1.0",
        "title": f"title of {id}",
        "where": "a.py, line 3",
        "evidence": "why",
        "expected": "1",
        "found": "2",
    }
    return LedgerFinding(id, library, kind=kind, **{**given, **texts})  # type: ignore[arg-type]


LEDGER = (
    finding("alib_small", kind="numerical"),
    finding("alib_silent", kind="accepted-silently"),
    finding("alib_scale", upstream="https://example.org/issues/1"),
    finding("alib_worse"),
    finding("blib_by_hand", "blib", version="0.2"),
)
KNOWN = [("alib_scale", 2), ("alib_worse", 5), ("alib_silent", 9)]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Sequence[LedgerFinding]:
    """A small ledger in the place of the package's own."""
    cells = [
        expected_cells.ExpectedCell("alib/fisher", "T1", f"problem-{number}", "float64", "violated", id)
        for id, count in KNOWN
        for number in range(count)
    ]
    monkeypatch.setattr(ledger, "read_ledger", lambda: list(LEDGER))
    monkeypatch.setattr(expected_cells, "read_expected", lambda: cells)
    return LEDGER


def cell(status: Status, claim: str = "T1", problem: str = "mlp", finding: str = "", subject: str = "alib/fisher") -> Cell:
    verdict = {"holds": "holds", "unsupported": "unsupported", "mended": "holds", "vanished": "not-claimed"}.get(
        status, "violated"
    )
    return Cell(Record(subject, claim, problem, verdict=verdict, measured=1.0, bound=0.1), status, finding)  # type: ignore[arg-type]


CELLS = (
    *(cell("holds", problem=f"p{number}") for number in range(4)),
    cell("expected", "T2", finding="alib_scale"),
    cell("unsupported", "T3"),
    cell("unsupported", "T4"),
)


def run(out: Path, cells: Sequence[Cell] = CELLS, missing: dict[str, str] | None = None, command: str = COMMAND) -> None:
    """Write what ``fishergauge peers`` writes after a run with these cells."""
    folder = out / "peers"
    folder.mkdir(exist_ok=True)
    names = dict.fromkeys(one.record.subject for one in cells)
    peers = [Peer(name.partition("/")[0], "json", Subject(name, lambda problem: None), "promised") for name in names]
    told = content(cells, LEDGER, peers, missing or {}, command)
    told["versions"] |= {"alib": "1.1"}
    (folder / "peers.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "peers.csv").write_text(cells_csv(cells), encoding="utf-8")


def rewrite(out: Path, words: dict[str, str]) -> None:
    """Put other words into the files of a run."""

    def rewritten(value: Any) -> Any:
        if isinstance(value, str):
            for word, text in words.items():
                value = value.replace(word, text)
            return value
        if isinstance(value, dict):
            return {rewritten(key): rewritten(item) for key, item in value.items()}
        return [rewritten(item) for item in value] if isinstance(value, list) else value

    told, cells = out / "peers" / "peers.json", out / "peers" / "peers.csv"
    told.write_text(json.dumps(rewritten(json.loads(told.read_text(encoding="utf-8")))), encoding="utf-8")
    with cells.open(encoding="utf-8", newline="") as file:
        rows = rewritten(list(csv.reader(file)))
    with cells.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def shown(part: Part, out: Path = Path()) -> Section:
    return section_of(render_html(Document("report", (part,)), out), "peers")


def library(part: Part, name: str) -> dict[str, Any]:
    return next(row for row in part.data["libraries"] if row["library"] == name)


def test_without_a_run_the_ledger_is_shown_and_the_gap_names_the_command(tmp_path: Path) -> None:
    part = collect(tmp_path)
    assert part.status == "partial"
    assert [gap.command for gap in part.gaps] == ["fishergauge peers"]
    assert "peers/peers.json is not there" in part.gaps[0].why
    assert len(part.data["findings"]) == len(ledger.read_ledger()) > 200
    assert {row["state"] for row in part.data["libraries"]} == {"not run"}
    assert all("executed" not in row for row in part.data["libraries"])
    assert part.red == 0
    assert "No library was run for this page" in part.summary


def test_the_ledger_fits_on_the_page_and_every_finding_has_its_anchor(tmp_path: Path) -> None:
    part = collect(tmp_path)
    section = shown(part)
    assert len(section.html.encode()) < 260_000
    anchors = {f"peers-{row['id'].replace('_', '-')}" for row in part.data["findings"]}
    assert anchors <= set(section.ids)
    assert len(section.ids) == len(set(section.ids))
    assert section.elements["details"] >= len(anchors)


def test_the_most_telling_findings_come_first(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    order = [row["id"] for row in collect(tmp_path).data["findings"]]
    assert order == ["alib_worse", "alib_scale", "blib_by_hand", "alib_silent", "alib_small"]


def test_what_was_run_and_what_is_only_known_is_told_apart(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    run(tmp_path)
    part = collect(tmp_path)
    mine = library(part, "alib")
    assert (mine["state"], mine["found_in"], mine["ran_with"]) == ("run", ["1.0"], "1.1")
    counted = {name: mine[name] for name in ("quantities", "executed", "holds", "expected", "refused", "wrong")}
    assert counted == {"quantities": 1, "executed": 5, "holds": 4, "expected": 1, "refused": 2, "wrong": {}}
    assert library(part, "blib")["state"] == "not run"
    seen = {row["id"]: row["seen"] for row in part.data["findings"]}
    assert seen == {"alib_worse": 0, "alib_scale": 1, "alib_silent": 0, "alib_small": None, "blib_by_hand": None}
    assert part.gaps == (), "what was not asked for is no gap"
    assert part.data["command"] == "fishergauge peers --only alib --out out/peers"
    text = shown(part, tmp_path).text
    assert "1.1 (another one)" in text
    assert "Run for this page: alib. The others were left out; fishergauge peers runs them. Of 5 checks executed 4 hold" in text
    assert "2 more were refused by the libraries, which is no defect" in text


@pytest.mark.parametrize("status", ["unexplained", "new", "changed", "mended", "vanished"])
def test_what_contradicts_the_ledger_is_red_and_told(tmp_path: Path, known: Sequence[LedgerFinding], status: Status) -> None:
    run(tmp_path, [*CELLS, cell(status, "T5", finding="alib_worse"), cell(status, "T5", "cnn", "alib_worse")])
    part = collect(tmp_path)
    assert part.red == 2
    assert len(part.reds) == 1
    assert part.reds[0].startswith(f"{status}: T5 of alib/fisher on mlp (float64), cnn (float64): ")
    assert part.reds[0].endswith(" (alib_worse)")
    assert library(part, "alib")["executed"] == (5 if status == "vanished" else 7)
    assert f"2 {status}" in shown(part, tmp_path).text


def test_reds_are_at_most_twenty(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    run(tmp_path, [cell("unexplained", f"T{number}") for number in range(30)])
    part = collect(tmp_path)
    assert (part.red, len(part.reds), len(part.data["wrong"]), part.data["wrong_groups"]) == (30, 20, 20, 30)
    assert "And 10 more" in shown(part, tmp_path).text


def test_without_the_cells_counts_come_from_the_table_of_quantities(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    run(tmp_path, [*CELLS, cell("unexplained", "T5")])
    (tmp_path / "peers" / "peers.csv").unlink()
    part = collect(tmp_path)
    assert library(part, "alib")["holds"] == 4
    assert (part.red, part.reds) == (1, ("1 cell of libraries contradict the ledger",))
    assert "peers/peers.csv is not there" in " ".join(gap.why for gap in part.gaps)


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("peers.json", '{"schema": 1, "quant', "is damaged"),
        ("peers.json", '{"schema": 9}', "has schema 9"),
        ("peers.csv", "subject,claim\nalib/fisher,T1\n", "no column 'problem'"),
        (
            "peers.csv",
            COLUMNS + "\nalib/fisher,T1,mlp,float64,holds,\nalib/fi",
            "1 of its lines",
        ),
        ("peers.csv", COLUMNS + "\nalib/fisher,T1,mlp,float64,dancing,\n", "1 of its lines"),
        ("peers.csv", COLUMNS + "\n\0", "peers.csv"),
    ],
)
def test_a_damaged_file_is_a_gap_and_the_rest_is_shown(
    tmp_path: Path, known: Sequence[LedgerFinding], name: str, text: str, cause: str
) -> None:
    run(tmp_path)
    (tmp_path / "peers" / name).write_text(text, encoding="utf-8")
    part = collect(tmp_path)
    assert cause in " ".join(gap.why for gap in part.gaps)
    assert len(part.data["findings"]) == len(LEDGER)
    assert shown(part, tmp_path).elements["table"] >= 2


def test_values_of_another_kind_do_no_harm(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    run(tmp_path)
    told = {"schema": 1, "command": None, "versions": [], "missing": [1], "quantities": [3, {"claims": {"T1": {"holds": "x"}}}]}
    (tmp_path / "peers" / "peers.json").write_text(json.dumps(told), encoding="utf-8")
    assert collect(tmp_path).status == "partial"


def test_libraries_that_are_not_installed_and_empty_quantities_are_gaps(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    run(tmp_path, missing={"blib": "blib is not installed"})
    path = tmp_path / "peers" / "peers.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["quantities"] = [{"name": name, "library": "alib", "claims": {}} for name in ("alib/fisher", "alib/other")]
    path.write_text(json.dumps(told), encoding="utf-8")
    part = collect(tmp_path)
    assert library(part, "blib")["state"] == "not installed"
    assert [gap.command for gap in part.gaps] == ["pip install '.[peers]'", "fishergauge peers"]
    assert "alib/fisher, alib/other" in part.gaps[1].why
    assert library(part, "alib")["executed"] == 5  # as the cells say


def test_the_figure_is_shown_where_it_was_drawn(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    run(tmp_path)
    assert collect(tmp_path).figures == ()
    (tmp_path / "peers" / "peers_summary.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>')
    part = collect(tmp_path)
    assert [figure.path for figure in part.figures] == ["peers/peers_summary.svg"]
    assert shown(part, tmp_path).elements["figure"] == 1


@pytest.mark.parametrize("text", [*HOSTILE, ENDLESS])
def test_foreign_text_is_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    texts = {"title": text, "evidence": text, "where": text, "expected": text, "found": text, "version": text, "upstream": text}
    monkeypatch.setattr(ledger, "read_ledger", lambda: [finding("alib_scale", **texts)])
    monkeypatch.setattr(expected_cells, "read_expected", lambda: [])
    run(tmp_path, [cell("unexplained", "CLAIM", "PROBLEM", "FINDING", "LIBRARY/fisher")], command="COMMAND")
    rewrite(tmp_path, dict.fromkeys(("CLAIM", "PROBLEM", "FINDING", "COMMAND"), text) | {"LIBRARY": text.replace("/", "")})
    part = collect(tmp_path)
    section = shown(part, tmp_path)
    for name in ("script", "img", "bdo"):
        assert not section.elements[name]
    assert not section.handlers
    assert not [link for link in section.links if not link.startswith(("#", "peers/"))]
    assert section.text.count(text) >= 5
    assert "{{" not in text or "{{ 7*7 }}" in section.text
    markdown = re.sub("`[^`\n]*`", "", render_markdown(Document("report", (part,))))
    assert "<script" not in markdown
    assert "<img" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|") and line.endswith("| by hand |  |")]
    assert [len(re.split(r"(?<!\\)\|", row)) for row in rows] == ([] if text == ENDLESS else [9])  # all together is cut


def test_only_links_become_links() -> None:
    assert link_of("https://github.com/a/b/issues/1") == "https://github.com/a/b/issues/1"
    for text in (
        "javascript:alert(1)",
        "see https://example.org",
        'https://a.org/"onclick=x',
        "data:text/html,x",
        "//example.org",
        "",
    ):
        assert link_of(text) == ""


def test_the_same_artefacts_give_the_same_part(tmp_path: Path, known: Sequence[LedgerFinding]) -> None:
    run(tmp_path)
    first, second = collect(tmp_path), collect(tmp_path)
    assert without_times(first.data) == without_times(second.data)
    assert first.reds == second.reds
    assert str(tmp_path) not in json.dumps(first.data)


def test_markdown_has_every_library_and_the_first_findings(tmp_path: Path) -> None:
    part = collect(tmp_path)
    text = render_markdown(Document("report", (part,)))
    assert all(f"| {row['library']}".replace("_", r"\_") in text for row in part.data["libraries"])
    assert len(re.findall(r"^\| \S+ \S+ \| defect \|", text, re.MULTILINE)) == 30
    assert len(text) < 15_000
