import os
from pathlib import Path

import pytest
import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.engine import Computed, available_cores, compute
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import OptionError, Options


class Echo:
    """An experiment that says where it ran, and fails or dies at the seeds it is told to."""

    name = "e4"
    title = "echo"

    def __init__(self, fails_at: int = -1, dies_at: int = -1) -> None:
        self.fails_at, self.dies_at = fails_at, dies_at

    def cells(self, options: Options) -> list[Cell]:
        return []

    def run(self, cell: Cell, device: str) -> Record:
        if cell.seed == self.fails_at:
            raise RuntimeError("planted failure")
        if cell.seed == self.dies_at:
            os._exit(9)
        return {"rows": [{"process": os.getpid(), "threads": torch.get_num_threads()}]}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        return []

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return []


def _cells(timed: int, rest: int) -> list[Cell]:
    protocols = ["published"] * rest + ["baseline"] * timed
    return [Cell("e4", protocol, "synthetic", seed) for seed, protocol in enumerate(protocols)]


def _computed(experiment: Echo, timed: int, rest: int, jobs: int) -> list[Computed]:
    return list(compute(_cells(timed, rest), {"e4": experiment}, "cpu", jobs))


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_cell_is_computed_once_on_one_thread_and_timed_ones_first_and_here(jobs: int) -> None:
    threads = torch.get_num_threads()
    computed = _computed(Echo(), timed=2, rest=4, jobs=jobs)
    assert {one.cell for one in computed} == set(_cells(2, 4))
    assert len(computed) == 6
    assert [one.cell.protocol for one in computed[:2]] == ["baseline", "baseline"]
    rows = {one.cell.seed: one.record["rows"][0] for one in computed if one.record is not None}
    assert all(rows[seed]["process"] == os.getpid() for seed in (4, 5))
    assert all((rows[seed]["process"] == os.getpid()) == (jobs == 1) for seed in range(4))
    assert {row["threads"] for row in rows.values()} == {1}
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_cell_carries_its_traceback_and_the_rest_goes_on(jobs: int) -> None:
    computed = {one.cell.seed: one for one in _computed(Echo(fails_at=1), timed=0, rest=3, jobs=jobs)}
    assert [seed for seed, one in computed.items() if one.record is None] == [1]
    assert computed[1].error == "RuntimeError('planted failure')"
    assert "in run" in computed[1].trace


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_cells_of_a_process_that_died_are_reported() -> None:
    computed = {one.cell.seed: one for one in _computed(Echo(dies_at=2), timed=1, rest=3, jobs=2)}
    assert set(computed) == {0, 1, 2, 3}
    assert computed[3].record is not None
    assert computed[2].record is None
    assert "Terminated" in computed[2].error


def test_a_senseless_number_of_processes_is_refused() -> None:
    assert available_cores() >= 1
    with pytest.raises(OptionError, match="--jobs must be at least 1, not 0"):
        Options(jobs=0)
