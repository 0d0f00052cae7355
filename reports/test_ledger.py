import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fishergauge.reports.ledger import LedgerEntry, write_ledger
from fishergauge.reports.options import Options
from fishergauge.reports.reproduce import remarks
from fishergauge.suites.jsonable import jsonable

ENTRY = LedgerEntry("E4.1", "e4", "synthetic", "a | b", "paper", "1e-10", "2e-10", "3e-10", "confirmed", "why", {"x": 1.5})


def test_the_ledger_is_written_three_times_with_the_same_content(tmp_path: Path) -> None:
    other = replace(ENTRY, data="digits", figures={"x": float("nan")})
    paths = write_ledger([ENTRY, other], tmp_path, "## Appendix")
    assert [path.name for path in paths] == ["claims.csv", "claims.md", "claims.json"]
    with paths[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["data"] for row in rows] == ["digits", "synthetic"]
    assert json.loads(rows[0]["figures"]) == {"x": None, "x_reason": "nan"}
    page = paths[1].read_text()
    assert "a \\| b" in page
    assert page.endswith("## Appendix\n")
    claims = json.loads(paths[2].read_text())["claims"]
    assert claims[1]["figures"] == {"x": 1.5}


def test_bad_entries_are_refused(tmp_path: Path) -> None:
    for verdict in ("probably", "confirmed only if ", ""):
        with pytest.raises(ValueError, match="is no verdict"):
            replace(ENTRY, verdict=verdict)
    assert replace(ENTRY, verdict="confirmed only if n > 3").verdict.endswith("3")
    with pytest.raises(ValueError, match="must differ"):
        write_ledger([ENTRY, ENTRY], tmp_path)


def test_jsonable() -> None:
    assert jsonable({"a": [1.0, float("nan"), float("-inf")]}) == {"a": [1.0, None, None], "a_reason": "-inf, nan"}
    assert jsonable({"a": float("inf"), "a_reason": "overflow"}) == {"a": None, "a_reason": "overflow"}
    assert jsonable((torch.tensor([1, 2]), Path("x"), True, None)) == [[1, 2], "x", True, None]
    assert jsonable(torch.tensor(2.0)) == 2.0
    with pytest.raises(TypeError, match="set does not go into JSON"):
        jsonable({"a": {1}})


def test_what_a_reader_must_know_stands_before_the_verdicts(tmp_path: Path) -> None:
    options = Options(seeds=2, quick=True)
    write_ledger([ENTRY], tmp_path, remarks=remarks(options, failures=3))
    page = (tmp_path / "claims.md").read_text()
    head, _, _ = page.partition("| claim |")
    assert all(text in head for text in ("A quick run", "Run with 2 seeds", "Incomplete: 3 parts"))
    assert len(json.loads((tmp_path / "claims.json").read_text())["remarks"]) == 3
    assert remarks(Options(), failures=0) == []


def test_the_tenth_claim_stands_behind_the_ninth(tmp_path: Path) -> None:
    entries = [replace(ENTRY, id=f"COURSE.{number}") for number in (10, 9, 1)]
    write_ledger(entries, tmp_path)
    ids = [claim["id"] for claim in json.loads((tmp_path / "claims.json").read_text())["claims"]]
    assert ids == ["COURSE.1", "COURSE.9", "COURSE.10"]
