"""The table of claims by subjects: what the collector makes of records, and of damage."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.conformance_part import MOST_REDS, collect
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.timed import without_times
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.record import Record, Verdict
from fishergauge.suites.records_file import write_records

INF = float("inf")


def record(
    claim: str = "T4", problem: str = "mlp", verdict: Verdict = "holds", measured: float | None = 0.5, **more: Any
) -> Record:
    bound = None if measured is None else 1.0
    return Record("mine", claim, problem, verdict=verdict, measured=measured, bound=bound, **more)


def entry(name: str = "mine", **more: Any) -> dict[str, Any]:
    head = {"name": name, "library": "yours", "origin": "yours", "target": "fisher", "structure": "kronecker"}
    return {**head, "declared": "target fisher", "command": f"fishergauge check {name}.py:{name}", "checks": 1, **more}


def written(out: Path, records: Sequence[Record], *entries: dict[str, Any], **more: Any) -> Part:
    """A folder with these records and subjects, collected."""
    (out / "conformance").mkdir(exist_ok=True)
    if records:
        write_records(records, out / "conformance" / "records.jsonl")
    content = {"schema": 1, "command": "fishergauge conformance", "subjects": entries or [entry()], **more}
    (out / "conformance" / "subjects.json").write_text(json.dumps(content))
    return collect(out)


def cell_of(part: Part, claim: str, subject: str = "mine") -> dict[str, Any]:
    (found,) = [cell for cell in part.data["cells"] if (cell["subject"], cell["claim"]) == (subject, claim)]
    return dict(found)


def test_a_cell_has_the_worst_verdict_and_the_check_furthest_beyond_its_bound(tmp_path: Path) -> None:
    records = [
        record("T4", "a", "unsupported", None, reason="not here"),
        record("T4", "b", measured=0.1),
        record("T4", "c", "violated", 3.0, witness="w", nearest="P1", again="fishergauge check mine.py:mine"),
        record("T4", "d", "violated", INF),
        *(record("T4", f"e{n}", "violated", 2.0 + n / 10) for n in range(4)),
        record("T5", "a", measured=0.25),
        record("T5", "b", measured=0.75, formula="u"),
        record("T5", "c", "not-claimed", 9.0),
    ]
    part = written(tmp_path, records)
    worst = cell_of(part, "T4")
    assert (worst["verdict"], worst["checks"]) == ("violated", 8)
    assert worst["counts"] == {"violated": 6, "holds": 1, "unsupported": 1}
    assert worst["worst"] == {
        "problem": "d", "verdict": "violated", "measured": None, "measured_reason": "inf", "bound": 1.0, "slack": None,
        "slack_reason": "inf",
    }  # fmt: skip
    assert worst["others"][0] == {
        "problem": "c", "verdict": "violated", "measured": 3.0, "bound": 1.0, "slack": 3.0, "witness": "w", "nearest": "P1",
        "again": "fishergauge check mine.py:mine",
    }  # fmt: skip
    assert [check["problem"] for check in worst["others"]] == ["c", "e3", "e2"]
    assert worst["more"] == 2
    assert worst["refused"] == "not here"
    held = cell_of(part, "T5")
    assert held["worst"] == {"problem": "b", "verdict": "holds", "measured": 0.75, "bound": 1.0, "slack": 0.75, "formula": "u"}
    assert "others" not in held
    json.dumps(jsonable(part.data), allow_nan=False)


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        (["holds", "error", "violated"], "error"),
        (["violated", "unexpected"], "violated"),
        (["unexpected", "expected"], "unexpected"),
        (["expected", "holds"], "expected"),
        (["holds", "unsupported", "not-claimed"], "holds"),
        (["unsupported", "not-claimed"], "unsupported"),
    ],
)
def test_the_worst_verdict_of_a_cell(tmp_path: Path, verdicts: list[Verdict], worst: str) -> None:
    part = written(tmp_path, [record("T4", verdict, verdict) for verdict in verdicts])
    cell = cell_of(part, "T4")
    assert cell["verdict"] == cell["worst"]["verdict"] == worst
    assert part.red == (worst in ("error", "violated", "unexpected"))


def test_subjects_claims_and_numbers_are_in_order(tmp_path: Path) -> None:
    mine = [record(claim, "p") for claim in ("T26-psd", "T10000", "T4")]
    other = [replace(record("T4", "q"), subject="other", dtype="float32"), replace(record("T1", "p"), subject="unknown")]
    part = written(tmp_path, [*mine, *other], entry("other", origin="reference", library="fishergauge"), entry("mine"))
    data = part.data
    assert [one["name"] for one in data["subjects"]] == ["other", "mine", "unknown"]
    assert [one["origin"] for one in data["subjects"]] == ["reference", "yours", "yours"]
    assert [one["id"] for one in data["claims"]] == ["T1", "T4", "T26-psd", "T10000"]
    assert data["claims"][1]["name"] == "bias-block-exact"
    assert data["claims"][1]["statement"]
    assert [(cell["subject"], cell["claim"]) for cell in data["cells"]] == [
        ("other", "T4"), ("mine", "T4"), ("mine", "T26-psd"), ("mine", "T10000"), ("unknown", "T1"),
    ]  # fmt: skip
    assert (data["problems"], data["checks"], data["dtypes"]) == (2, 5, ["float32", "float64"])
    assert cell_of(part, "T4", "other")["worst"]["dtype"] == "float32"
    assert part.summary == "5 checks of 3 subjects on 2 problems: 5 hold, none is red."
    assert part.status == "complete"


def test_what_is_red_is_said_in_a_line_each(tmp_path: Path) -> None:
    again = "fishergauge check mine.py:mine --claims T4 --problems c"
    red = [record("T4", "c", "violated", 3.0, again=again, nearest="P1"), record("T4", "d", "violated", 2.0)]
    error = record("T5", "c", "error", None, reason="ValueError: no\nmore lines")
    complaints = ["entry 1: expired on 2001-01-31"]
    bad = entry("bad", error="there is no file 'bad.py'\nTraceback", checks=0)
    part = written(tmp_path, [*red, error], entry(complaints=complaints), bad)
    assert part.reds == (
        "mine: entry 1: expired on 2001-01-31",
        "bad could not be checked: there is no file 'bad.py'",
        f"T4 bias-block-exact of mine on c and 1 more check: violated; measured 3, bound 1; nearest: P1; again: {again}",
        "T5 last-layer-exact of mine on c: error; ValueError: no",
    )
    assert part.red == 4
    assert "3 are red (1 error, 2 violated)" in part.summary
    assert "1 subject could not be checked." in part.summary
    (gap,) = part.gaps
    assert (gap.what, gap.command) == ("checks of bad", "fishergauge check bad.py:bad")
    assert gap.why.startswith("It could not be checked: there is no file")
    many = written(tmp_path, [record(f"T{n}", "c", "violated", 3.0) for n in range(MOST_REDS + 5)])
    assert (many.red, len(many.reds)) == (MOST_REDS + 5, MOST_REDS)


def test_vacuous_claims_are_cells(tmp_path: Path) -> None:
    records = [record("T4", "a", "unsupported", None, reason="not here"), record("T5", "a")]
    part = written(tmp_path, records, entry(vacuous={"T4": "refused everywhere", "T8": "no such problem"}))
    assert cell_of(part, "T4") == {
        "subject": "mine",
        "claim": "T4",
        "verdict": "vacuous",
        "counts": {"unsupported": 1},
        "checks": 1,
        "worst": {"problem": "", "verdict": "vacuous", "reason": "refused everywhere"},
    }
    assert cell_of(part, "T8")["counts"] == {}
    assert "T8" in [claim["id"] for claim in part.data["claims"]]
    assert "2 claims were examined on no problem (vacuous)." in part.summary
    assert part.red == 0
    nothing = written(tmp_path, records, entry(vacuous={"*": "no check was selected"}))
    assert [gap.what for gap in nothing.gaps] == ["checks of mine"]
    assert "*" not in [claim["id"] for claim in nothing.data["claims"]]


def test_nothing_is_missing_with_the_command(tmp_path: Path) -> None:
    part = collect(tmp_path)
    assert part.status == "missing"
    assert part.gaps[0].why == "conformance/subjects.json is not there."
    assert part.gaps[0].command == "fishergauge conformance"


def test_damage_costs_nothing_but_itself(tmp_path: Path) -> None:
    part = written(tmp_path, [record("T4"), record("T5"), record("T6")])
    assert not part.gaps
    file = tmp_path / "conformance" / "records.jsonl"
    lines = file.read_text().splitlines()
    foreign = json.dumps(json.loads(lines[0]) | {"schema": 2, "claim": "T7"})
    unknown = json.dumps(json.loads(lines[0]) | {"claim": "T8", "colour": "red"})
    file.write_text("\n".join([lines[0], "[1]", foreign, unknown, '{"schema": 1, "subject": 3}', lines[1], lines[2][:60]]))
    part = collect(tmp_path)
    assert [cell["claim"] for cell in part.data["cells"]] == ["T4", "T5", "T8"]
    damaged, other = part.gaps
    assert damaged.why == "conformance/records.jsonl is damaged: 3 of its lines cannot be read. Run the command again."
    assert "holds lines of schema 2, and this version of fishergauge reads 1" in other.why
    file.unlink()
    assert [gap.why for gap in collect(tmp_path).gaps] == ["conformance/records.jsonl is not there."]
    file.write_text(lines[0] + "\n")
    subjects = tmp_path / "conformance" / "subjects.json"
    subjects.write_text(subjects.read_text()[:-20])
    part = collect(tmp_path)
    assert "conformance/subjects.json is damaged" in part.gaps[0].why
    assert [one["name"] for one in part.data["subjects"]] == ["mine"]
    subjects.write_text('{"schema": 1, "subjects": [3, {"name": []}, {"name": "mine", "vacuous": [], "complaints": 7}]}')
    assert [one["name"] for one in collect(tmp_path).data["subjects"]] == ["mine"]


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    part = written(
        tmp_path, [record()], unfinished=["/home/me/other.py:x"], command="fishergauge conformance --out /home/me/out"
    )
    (gap,) = part.gaps
    assert gap.what == "1 subject"
    assert "before it came to other.py:x" in gap.why
    assert gap.command == "fishergauge conformance --out out"


def test_two_runs_differ_in_times_alone(tmp_path: Path) -> None:
    one = written(tmp_path, [record(seconds=1.0)], entry(timed_seconds=1.25))
    two = written(tmp_path, [record(seconds=2.0)], entry(timed_seconds=2.5))
    assert one != two
    assert without_times(one.data) == without_times(two.data)


def test_foreign_text_is_kept_as_it_is(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> {{ 7*7 }} | \u202e\n" + "x" * 10_000
    part = written(tmp_path, [record("T4", verdict="error", measured=None, reason=hostile)], entry(error=hostile))
    assert cell_of(part, "T4")["worst"]["reason"] == hostile
    assert all("\n" not in line and len(line) < 500 for line in part.reds)
