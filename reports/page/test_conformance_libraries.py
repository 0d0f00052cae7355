"""Libraries in the table of claims by subjects: their statuses as verdicts, few details, and damage."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fishergauge.reports.page.conformance_part import collect
from fishergauge.reports.page.part import Part
from fishergauge.reports.peers_tables import cells_csv
from fishergauge.suites.peers.judgement import Cell
from fishergauge.suites.record import Record, Verdict
from fishergauge.suites.records_file import write_records


def record(
    claim: str = "T4", problem: str = "mlp", verdict: Verdict = "holds", measured: float | None = 0.5, **more: Any
) -> Record:
    bound = None if measured is None else 1.0
    return Record("lib/kfac", claim, problem, verdict=verdict, measured=measured, bound=bound, **more)


def with_subject(out: Path, *records: Record) -> Part:
    """A folder that has also a subject of a user with these records, collected."""
    (out / "conformance").mkdir()
    write_records(records, out / "conformance" / "records.jsonl")
    subject = {"name": records[0].subject, "checks": len(records)}
    (out / "conformance" / "subjects.json").write_text(json.dumps({"schema": 1, "subjects": [subject]}))
    return collect(out)


def peers(out: Path, cells: Sequence[Cell], run: dict[str, Any] | None = None) -> Part:
    """A folder with these cells of libraries, collected."""
    (out / "peers" / "records").mkdir(parents=True, exist_ok=True)
    (out / "peers" / "peers.csv").write_text(cells_csv(cells))
    quantity = {"name": "lib/kfac", "library": "lib", "target": "ggn", "structure": "kronecker", "samples": 8}
    (out / "peers" / "peers.json").write_text(json.dumps({"schema": 1, "quantities": [quantity]} if run is None else run))
    return collect(out)


def cell_of(part: Part, claim: str, subject: str = "lib/kfac") -> dict[str, Any]:
    (found,) = [cell for cell in part.data["cells"] if (cell["subject"], cell["claim"]) == (subject, claim)]
    return dict(found)


def test_a_status_of_a_library_is_a_verdict(tmp_path: Path) -> None:
    def cell(claim: str, status: Any, verdict: Verdict, finding: str = "", **more: Any) -> Cell:
        measured = None if verdict in ("unsupported", "error") else 0.5
        return Cell(record(claim, "mlp", verdict, measured, **more), status, finding)

    cells = [
        cell("T1", "holds", "holds"),
        cell("T2", "expected", "error", "lib_scale", reason="a long traceback"),
        cell("T3", "unsupported", "unsupported", reason="no conv"),
        cell("T4", "unexplained", "violated", reason="why"),
        cell("T5", "new", "error", "lib_scale"),
        cell("T6", "changed", "violated", "lib_scale"),
        cell("T7", "mended", "holds", "lib_scale"),
        cell("T8", "vanished", "not-claimed", "lib_scale"),
        cell("T11", "not-claimed", "not-claimed"),
    ]
    full = replace(cells[3].record, witness="the weight", again="fishergauge peers --only lib/kfac --claims T4")
    part = peers(tmp_path, cells)
    assert {cell["claim"]: cell["verdict"] for cell in part.data["cells"]} == {
        "T1": "holds", "T2": "expected", "T3": "unsupported", "T4": "violated", "T5": "error", "T6": "violated",
        "T7": "unexpected", "T8": "unexpected", "T11": "not-claimed",
    }  # fmt: skip
    assert cell_of(part, "T2", "lib/kfac")["worst"] == {"problem": "mlp", "verdict": "expected", "finding": "lib_scale"}
    assert cell_of(part, "T1", "lib/kfac")["worst"] == {
        "problem": "mlp", "verdict": "holds", "measured": 0.5, "bound": 1.0, "slack": 0.5,
    }  # fmt: skip
    assert cell_of(part, "T3", "lib/kfac")["worst"]["reason"] == "no conv"
    assert cell_of(part, "T4", "lib/kfac")["worst"]["reason"] == "unexplained: red, and no finding explains it; why"
    assert cell_of(part, "T8", "lib/kfac")["worst"]["reason"].startswith("vanished: the ledger says that it is red")
    (subject,) = part.data["subjects"]
    assert (subject["library"], subject["origin"], subject["declared"]) == (
        "lib", "library", "target ggn, structure kronecker, 8 samples",
    )  # fmt: skip
    assert subject["again"] == "fishergauge peers --only lib/kfac"
    assert subject["counts"]["unexpected"] == 2
    assert (part.red, part.reds) == (0, ())  # the part about libraries counts them
    assert (
        "1 quantity of 1 library with 9 checks: 1 hold, 1 are red as the ledger of findings says, 5 contradict it"
        in part.summary
    )
    assert [gap.what for gap in part.gaps] == ["the reference quantities and your subjects"]
    write_records([full], tmp_path / "peers" / "records" / "lib-kfac-float64-0123.jsonl")
    assert cell_of(collect(tmp_path), "T4", "lib/kfac")["worst"]["witness"] == "the weight"


def test_a_cell_of_a_library_tells_one_check_a_finding(tmp_path: Path) -> None:
    def cell(problem: str, measured: float, finding: str) -> Cell:
        return Cell(record("T4", problem, "violated", measured), "expected", finding)

    part = peers(
        tmp_path, [cell("a", 2.0, "x"), cell("b", 9.0, "x"), cell("c", 3.0, "y"), cell("d", 4.0, "z"), cell("e", 5.0, "x")]
    )
    found = cell_of(part, "T4", "lib/kfac")
    assert (found["worst"]["problem"], found["worst"]["finding"]) == ("b", "x")
    assert [(check["problem"], check["finding"]) for check in found["others"]] == [("d", "z")]
    assert found["more"] == 3


def test_a_subject_named_like_a_quantity_takes_its_place(tmp_path: Path) -> None:
    peers(tmp_path, [Cell(record(), "holds")])
    part = with_subject(tmp_path, record("T5", verdict="violated", measured=2.0))
    assert [cell["claim"] for cell in part.data["cells"]] == ["T5"]
    assert part.red == 1
    assert "lib/kfac" in part.gaps[0].why


def test_damaged_files_of_libraries(tmp_path: Path) -> None:
    good = Cell(record(), "holds")
    peers(tmp_path, [good])
    file = tmp_path / "peers" / "peers.csv"
    file.write_text(
        file.read_text() + "lib/kfac,T5,mlp,float64,strange,holds,,,,,\nlib/kfac,T6,mlp,float64,holds,holds,x,,,,\nlib/k"
    )
    part = collect(tmp_path)
    assert [cell["claim"] for cell in part.data["cells"]] == ["T4"]
    assert "peers/peers.csv is damaged: 3 of its lines cannot be read" in part.gaps[-1].why
    file.write_text("subject,claim\n")
    (tmp_path / "peers" / "peers.json").write_text("{")
    whys = [gap.why for gap in with_subject(tmp_path, replace(record(), subject="mine")).gaps]
    assert "peers/peers.json is damaged" in whys[0]
    assert "peers/peers.csv is damaged: it has no column 'problem'" in whys[1]


def test_thousands_of_cells_of_libraries_stay_small(tmp_path: Path) -> None:
    long = "a reason that takes many words and that stands in the file of the cells, " * 5
    cells = [
        Cell(
            replace(record(f"T{claim}", f"p{n}", "violated", 2.0, reason=long), subject=f"lib/{name}"),
            "expected",
            f"finding_{n}",
        )
        for name in range(50)
        for claim in range(40)
        for n in range(6)
    ]
    part = peers(tmp_path, cells)
    text = json.dumps(part.data["cells"], separators=(",", ":"))
    assert len(part.data["cells"]) == 2000
    assert len(text) / 2000 < 350
