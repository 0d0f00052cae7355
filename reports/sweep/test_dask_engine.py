import subprocess
import sys
import time
from pathlib import Path

import pytest

from fishergauge.reports.code_version import code_version
from fishergauge.reports.sweep import engine
from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.reports.sweep.dask_engine import DaskEngine
from fishergauge.reports.sweep.engine import EngineError
from fishergauge.reports.sweep.rehearsal import PATIENCE
from fishergauge.reports.sweep.rehearsal_cluster import Cluster
from fishergauge.reports.sweep.store import SweepStore

pytest.importorskip("distributed", reason="needs the extra dask")

REHEARSAL = "fishergauge.reports.sweep.rehearsal:"


def _cell(function: str, **settings: str | float) -> SweepCell:
    return make_cell(REHEARSAL + function, **settings)  # type: ignore[arg-type]


def test_every_cell_once_and_what_fails_is_told(cluster: Cluster, store: SweepStore, tmp_path: Path) -> None:
    echoes = [_cell("echo", value=number) for number in range(4)]
    poison = _cell("leave", how="kill", folder=str(tmp_path))
    fails = {
        _cell("fail", value=1): "RuntimeError: planted failure 1",
        _cell("give", kind="object"): "TypeError: a object does not go into JSON",
        _cell("leave", how="interrupt"): "KeyboardInterrupt",
        poison: "its process died 3 times (SIGKILL(-9))",
    }
    other = make_cell(REHEARSAL + "echo", group="b", value="b")
    timing = make_cell(REHEARSAL + "alone", alone="cpu", folder=str(tmp_path), name="t", seconds=0.2)
    meeting = [_cell("alone", folder=str(tmp_path), name=name, until=other) for name, other in (("m", "n"), ("n", "m"))]
    lines = cluster.run([*meeting, *echoes, *fails, other, timing, _cell("give", kind="nan")], store)
    assert len(store.path.read_text().splitlines()) == len(lines) == 13
    assert [lines[cell].result["value"] for cell in echoes] == list(range(4))
    for cell, error in fails.items():
        assert (lines[cell].verdict, lines[cell].error[: len(error)]) == ("failed", error)
    assert {cell: line.attempts for cell, line in lines.items() if line.attempts > 1} == {poison: 3}
    assert len((tmp_path / "leave.begun").read_text().split()) == 3
    assert lines[_cell("give", kind="nan")].result == {"value": None, "value_reason": "nan"}
    assert lines[timing].result["beside"] == []
    assert lines[meeting[0]].result["beside"] or lines[meeting[1]].result["beside"]
    assert lines[other].result["process"] not in {lines[cell].result["process"] for cell in (*echoes, *meeting, timing)}


def test_timing_cells_run_one_at_a_time(cluster: Cluster, store: SweepStore, tmp_path: Path) -> None:
    folder = str(tmp_path)
    meeting = [_cell("alone", folder=folder, name=name, until=other) for name, other in (("m", "n"), ("n", "m"))]
    cluster.run(meeting, store)  # both workers have their processes now
    timing = [make_cell(REHEARSAL + "alone", alone="cpu", folder=folder, name=name, seconds=0.5) for name in ("s", "t", "u")]
    lines = cluster.run([*timing, _cell("alone", folder=folder, name="v")], store)
    assert [lines[cell].result["beside"] for cell in timing] == [[], [], []]


def test_a_cell_runs_in_the_main_thread_and_may_have_processes(cluster: Cluster, store: SweepStore) -> None:
    cell = make_cell("fishergauge.reports.sweep.rehearsal:where")
    assert cluster.run([cell], store)[cell].result == {"main_thread": True, "daemon": False}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://no-such-host.invalid:8786", "nonsense", "tls://127.0.0.1:1"])
def test_an_address_where_no_scheduler_is_is_an_error_in_time(address: str) -> None:
    begin = time.monotonic()
    with pytest.raises(EngineError, match=r"no dask scheduler answers at .*; start one with 'dask scheduler'") as error:
        list(DaskEngine(address, patience=0.5).run([_cell("echo")]))
    assert address in str(error.value)
    assert time.monotonic() - begin < PATIENCE / 2


def test_a_worker_of_another_version_is_an_error_that_names_both(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "code_version", lambda: "0.0+here")
    with pytest.raises(EngineError, match=r"the worker .* has fishergauge .*0\.0\+here.*install the same") as error:
        list(DaskEngine(cluster.address).run([_cell("echo")]))
    assert code_version() in str(error.value)


def test_one_option_is_the_difference_between_a_laptop_and_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    script = """
import argparse, sys
from pathlib import Path
from fishergauge.reports.sweep.cell import make_cell
from fishergauge.reports.sweep.execution import sweep
from fishergauge.reports.sweep.options import add_engine_options, engine_of
from fishergauge.reports.sweep.rehearsal import PATIENCE
from fishergauge.reports.sweep.rehearsal_cluster import Cluster, started, until
from fishergauge.reports.sweep.store import SweepStore
parser = argparse.ArgumentParser()
add_engine_options(parser)
parser.add_argument("--out", type=Path)
options = parser.parse_args()
cells = [make_cell("json:dumps", obj=number) for number in range(4)]
for line in sweep(cells, SweepStore(options.out), engine_of(options)).values():
    print(line.cell, line.verdict, line.result)
"""
    found = []
    for number, option in enumerate((["-j", "1"], [], ["--scheduler", cluster.address], ["--cluster", "local:1"])):
        command = [sys.executable, "-c", script, *option, "--out", str(tmp_path / f"{number}.jsonl")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=2 * PATIENCE)
        found.append((sorted(line.key for line in SweepStore(tmp_path / f"{number}.jsonl").lines()), done.stdout))
    assert found[1:] == found[:1] * 3
    assert found[0][1] == "".join(f"json:dumps(obj={number}) done {number}\n" for number in range(4))
