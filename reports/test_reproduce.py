import json
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import LedgerEntry
from fishergauge.reports.options import OptionError, Options
from fishergauge.reports.provenance import sha256
from fishergauge.reports.reproduce import reproduce
from fishergauge.reports.tables import write_csv


class Counting:
    """An experiment that counts its runs and fails where it is told to."""

    name = "e4"
    title = "counting"

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.fails_at: int | None = None
        self.artefacts_fail = False

    def cells(self, options: Options) -> list[Cell]:
        return [Cell("e4", "published", data, seed) for data in options.data for seed in range(options.seed_count(3))]

    def run(self, cell: Cell, device: str) -> Record:
        if cell.seed == self.fails_at:
            raise RuntimeError("planted failure")
        self.ran.append(cell.seed)
        return {"rows": [{"seed": cell.seed}]}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        if self.artefacts_fail:
            raise RuntimeError("planted artefact failure")
        return [write_csv([row for _, record in results for row in record["rows"]], out / "E4_results.csv")]

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        return [LedgerEntry("E4.1", "e4", data, "s", "p", "1", "2", "3", "confirmed", "r", {"seeds": len(results)})]


class Own(Counting):
    """One with data of its own."""

    name = "vector-field"

    def cells(self, options: Options) -> list[Cell]:
        return [Cell(self.name, "corrected", self.name, seed) for seed in range(2)]


@pytest.fixture(autouse=True)
def experiments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counting]:
    """The experiments as cells find them where they are computed."""
    registry = {"e4": Counting(), "vector-field": Own()}
    monkeypatch.setattr("fishergauge.reports.experiments.EXPERIMENTS", registry)
    return registry


@pytest.fixture
def experiment(experiments: dict[str, Counting]) -> Counting:
    return experiments["e4"]


def run(experiment: Counting, out: Path, seeds: int | None = None, data: str = "synthetic") -> tuple[int, int, list[str]]:
    options = Options(("e4",), (data,), seeds, out=out)
    outcome = reproduce(options, {"e4": experiment}, "command", lambda line: None)
    return outcome.computed, outcome.kept, outcome.failures


def test_finished_cells_are_not_computed_again_and_other_options_lose_none(experiment: Counting, tmp_path: Path) -> None:
    assert run(experiment, tmp_path) == (3, 0, [])
    assert run(experiment, tmp_path, seeds=1) == (0, 1, [])
    assert (tmp_path / "synthetic" / "E4_results.csv").read_text() == "seed\n0\n"
    assert run(experiment, tmp_path, seeds=5) == (2, 3, [])
    assert run(experiment, tmp_path, data="wine") == (3, 0, [])
    assert run(experiment, tmp_path) == (0, 3, [])
    assert experiment.ran == [0, 1, 2, 3, 4, 0, 1, 2]


def test_a_failing_cell_is_reported_and_the_rest_goes_on(experiment: Counting, tmp_path: Path) -> None:
    experiment.fails_at = 1
    said: list[str] = []
    outcome = reproduce(Options(("e4",), ("synthetic",), out=tmp_path), {"e4": experiment}, "", said.append)
    assert experiment.ran == [0, 2]
    assert outcome.failures == ["e4 published synthetic seed 1 failed: RuntimeError: planted failure"]
    assert any("Traceback" in line and "in run" in line for line in said)
    assert "e4 published synthetic seed 0: 0.0 s" in said
    assert sum("failed" in line for line in said) == 2  # as it fails, and at the end
    experiment.fails_at = None
    assert run(experiment, tmp_path) == (1, 2, [])


def test_an_experiment_with_data_of_its_own_has_a_folder_of_its_own(experiments: dict[str, Counting], tmp_path: Path) -> None:
    options = Options(("e4", "vector-field"), ("synthetic",), out=tmp_path)
    outcome = reproduce(options, experiments, "", lambda line: None)
    assert outcome.computed == 5
    assert (tmp_path / "synthetic" / "E4_results.csv").read_text() == "seed\n0\n1\n2\n"
    assert (tmp_path / "vector-field" / "E4_results.csv").read_text() == "seed\n0\n1\n"
    claims = json.loads((tmp_path / "claims.json").read_text())["claims"]
    assert [claim["data"] for claim in claims] == ["synthetic", "vector-field"]


def test_failing_artefacts_are_reported_and_the_ledger_is_written(experiment: Counting, tmp_path: Path) -> None:
    experiment.artefacts_fail = True
    assert run(experiment, tmp_path)[2] == ["the artefacts of e4 on synthetic failed: RuntimeError('planted artefact failure')"]
    assert json.loads((tmp_path / "claims.json").read_text())["claims"]


def test_every_artefact_has_its_provenance(experiment: Counting, tmp_path: Path) -> None:
    run(experiment, tmp_path)
    run(experiment, tmp_path, data="wine")
    recorded = json.loads((tmp_path / "provenance.json").read_text())["artefacts"]
    names = {"claims.csv", "claims.json", "claims.md", "synthetic/E4_results.csv", "wine/E4_results.csv"}
    assert set(recorded) == names
    for name in names:
        assert recorded[name]["sha256"] == sha256(tmp_path / name)
    assert recorded["synthetic/E4_results.csv"]["seeds"] == {"e4 published": [0, 1, 2]}
    assert recorded["claims.md"]["command"] == "command"
    assert recorded["claims.md"]["versions"]["torch"]
    (tmp_path / "synthetic" / "E4_results.csv").write_text("edited")
    run(experiment, tmp_path, data="wine")
    assert "synthetic/E4_results.csv" not in json.loads((tmp_path / "provenance.json").read_text())["artefacts"]


def test_options_that_cannot_be_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    file = tmp_path / "file"
    file.touch()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"device": "cuda"}, "no CUDA device is available"),
        ({"device": "abacus"}, "is no device"),
        ({"device": "meta"}, "is not supported"),
        ({"out": file}, "is a file; name a folder"),
        ({"out": file / "below"}, "is a file; name a folder"),
        ({"experiments": ("e9",)}, "no experiment 'e9'"),
        ({"seeds": 0}, "at least 1"),
        ({"data": ()}, "nothing to do"),
    ]
    for changed, message in cases:
        given: dict[str, Any] = {"experiments": ("e4",), "data": ("synthetic",), "out": tmp_path, **changed}
        with pytest.raises(OptionError, match=message):
            reproduce(Options(**given), {"e4": Counting()}, "", print)
