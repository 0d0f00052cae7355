"""A shard: its own cells, a message that says how to go on, and an exit code that knows of failures."""

import argparse
from pathlib import Path

import pytest

from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.reports.sweep.part import run_part
from fishergauge.reports.sweep.serial_engine import SerialEngine
from fishergauge.reports.sweep.store import SweepStore


def cells() -> list[SweepCell]:
    """Five, of which the third fails."""
    return [make_cell("json:dumps", obj=n) if n != 2 else make_cell("json:dumps", obj=n, no_such=1) for n in range(5)]


@pytest.mark.parametrize(("shard", "code", "own"), [((1, 2), 1, [0, 2, 4]), ((2, 2), 0, [1, 3]), ((1, 1), 1, [0, 1, 2, 3, 4])])
def test_the_cells_of_a_shard_are_kept_and_a_failed_one_is_counted(
    shard: tuple[int, int], code: int, own: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SweepStore(tmp_path / "cells.jsonl")
    assert run_part(cells(), argparse.Namespace(shard=shard), store, SerialEngine()) == code
    assert [dict(line.cell.settings)["obj"] for line in store.lines()] == own
    said = capsys.readouterr().out
    assert f"shard {shard[0]}/{shard[1]}: {len(own)} of 5 cells in {store.path}, {code} failed" in said
    assert f"fishergauge merge A/cells.jsonl B/cells.jsonl --out {store.path}" in said
