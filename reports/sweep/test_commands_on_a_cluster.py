"""Every command that computes cells says the same on a laptop and on a dask cluster; one option is the difference."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fishergauge.reports.cli import main
from fishergauge.reports.sweep.merge import TIME
from fishergauge.reports.sweep.rehearsal_cluster import Cluster
from fishergauge.reports.sweep.store import SweepStore

pytest.importorskip("distributed", reason="needs the extra dask")

SUBJECT = """
from fishergauge.reference import kfac
from fishergauge.suites import Subject

subject = Subject("mine", kfac, structure="kronecker")
"""
DIFFER = {"slack", "witness", "figures"}
"""What shows all digits of rounding errors."""


def _rows(path: Path) -> list[dict[str, object]]:
    """The rows of a result without times, numbers to eight decimals: the addresses of arrays may change the last digit."""
    with path.open(newline="") as file:
        rows = [json.loads(line) for line in file] if path.suffix == ".jsonl" else list(csv.DictReader(file))
    compared = [{key: _rounded(row[key]) for key in sorted(row) if key not in DIFFER and TIME not in key} for row in rows]
    return sorted(compared, key=str)


def _rounded(value: object) -> object:
    try:
        return round(float(value), 8)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value


Both = Callable[..., tuple[Path, Path]]


@pytest.fixture
def both(cluster: Cluster, tmp_path: Path) -> Both:
    """Give a command twice; the folders of its results."""

    def give(*command: str) -> tuple[Path, Path]:
        folders = tmp_path / "laptop", tmp_path / "cluster"
        for folder, options in zip(folders, (["--engine", "serial"], ["--scheduler", cluster.address]), strict=True):
            assert main([*command, *options, "--out", str(folder)]) == 0
        return folders

    return give


def _cells(file: Path) -> list[tuple[str, str]]:
    return sorted((line.key, line.verdict) for line in SweepStore(file).lines())


@pytest.mark.parametrize(
    ("command", "cells", "result"),
    [
        (
            "spectrum --quick --models softmax --families orthogonal --approximations exact-fisher",
            "spectrum_cells.jsonl",
            "spectrum.csv",
        ),
        ("reproduce posterior --quick", "cells.jsonl", "claims.csv"),
        (
            "bench --quick --no-time --no-peers --problems softmax-small --tasks ggn/diagonal",
            "cells.jsonl",
            "bench.jsonl",
        ),
    ],
)
def test_a_command_on_a_cluster(command: str, cells: str, result: str, both: Both) -> None:
    laptop, cluster = both(*command.split())
    expected = _rows(laptop / result)
    assert len(expected) > 1
    assert _rows(cluster / result) == expected
    assert _cells(laptop / cells) == _cells(cluster / cells) != []


def test_conformance_on_a_cluster(both: Both, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SUBJECT)
    options = ["--problems", "softmax-regression,mlp-tanh-softmax", "--claims", "T1,T26-*"]
    laptop, cluster = both("conformance", f"{tmp_path}/mine.py:subject", *options)
    found, expected = (_rows(folder / "conformance" / "records.jsonl") for folder in (cluster, laptop))
    assert found == expected
    assert len(found) > 10


def test_peers_on_a_cluster(both: Both) -> None:
    pytest.importorskip("backpack", reason="needs BackPACK")
    laptop, cluster = both("peers", "--only", "backpack/diag-ggn-exact", "--quick", "--problems", "softmax-regression")
    assert _rows(laptop / "peers.csv") == _rows(cluster / "peers.csv") != []
