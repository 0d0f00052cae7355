import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.reports.sweep.dask_engine import DaskEngine
from fishergauge.reports.sweep.engine import EngineError
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.rehearsal import PATIENCE
from fishergauge.reports.sweep.rehearsal_cluster import Cluster, started, until
from fishergauge.reports.sweep.store import SweepStore

pytest.importorskip("distributed", reason="needs the extra dask")
psutil = pytest.importorskip("psutil", reason="comes with the extra dask")

REHEARSAL = "fishergauge.reports.sweep.rehearsal:"


def _cell(function: str, **settings: str | float) -> SweepCell:
    return make_cell(REHEARSAL + function, **settings)  # type: ignore[arg-type]


def _begun(folder: Path, name: str) -> list[int]:
    path = folder / f"{name}.begun"
    return [int(number) for number in path.read_text().split()] if path.exists() else []


@contextmanager
def _sweeping(run: Callable[[], dict[SweepCell, Line]]) -> Iterator[tuple[dict[SweepCell, Line], list[BaseException]]]:
    """A sweep in a thread; what came of it when the context has ended."""
    lines: dict[SweepCell, Line] = {}
    errors: list[BaseException] = []

    def target() -> None:
        try:
            lines.update(run())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    try:
        yield lines, errors
    finally:
        thread.join(2 * PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("victim", ["cell", "worker"])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    victim: str, cluster: Cluster, store: SweepStore, tmp_path: Path
) -> None:
    _kill_in_the_middle(victim, cluster, store, tmp_path)


def test_a_machine_without_power_loses_nothing_and_doubles_nothing(store: SweepStore, tmp_path: Path) -> None:
    with started(tmp_path) as cluster:
        _kill_in_the_middle("machine", cluster, store, tmp_path)


def _kill_in_the_middle(victim: str, cluster: Cluster, store: SweepStore, tmp_path: Path) -> None:
    """Sweep cells of which two run at a time, kill what one of them runs in, and let the others end."""
    cells = [_cell("hold", folder=str(tmp_path), name=f"h{number}") for number in range(5)]
    with _sweeping(lambda: cluster.run(cells, store)) as (lines, errors):
        until(lambda: sum(len(_begun(tmp_path, f"h{number}")) for number in range(5)) == 2)
        (first, process), (second, _) = [
            (number, _begun(tmp_path, f"h{number}")[0]) for number in range(5) if _begun(tmp_path, f"h{number}")
        ]
        cell = psutil.Process(process)
        worker, nanny = cell.parents()[:2]
        if victim == "cell":
            os.kill(process, signal.SIGKILL)
        elif victim == "worker":  # its nanny starts another one
            worker.send_signal(signal.SIGKILL)
        else:  # all at once, as when the plug is pulled
            for one in (nanny, worker, cell):
                one.send_signal(signal.SIGKILL)
        until(lambda: not cell.is_running() or cell.status() == psutil.STATUS_ZOMBIE)
        assert not (tmp_path / "go").exists()
        (tmp_path / "go").touch()
    assert errors == []
    assert {line.verdict for line in lines.values()} == {"done"}
    assert [lines[one].result["name"] for one in cells] == [f"h{number}" for number in range(5)]
    assert [lines[one].attempts for one in cells] == [1 + (number == first) for number in range(5)]
    assert [len(_begun(tmp_path, f"h{number}")) for number in range(5)] == [1 + (number == first) for number in range(5)]
    assert second != first
    assert Counter(line.cell for line in SweepStore(store.path).lines()) == Counter(cells)
    assert len(store.path.read_text().splitlines()) == 5


def test_a_cell_whose_worker_is_lost_three_times_has_failed(cluster: Cluster, store: SweepStore, tmp_path: Path) -> None:
    cells = [_cell("hold", folder=str(tmp_path), name="h"), _cell("echo", value=1)]
    with _sweeping(lambda: cluster.run(cells, store)) as (lines, errors):
        for times in (1, 2, 3):
            until(lambda times=times: len(_begun(tmp_path, "h")) == times)  # type: ignore[misc]
            psutil.Process(_begun(tmp_path, "h")[-1]).parents()[0].send_signal(signal.SIGKILL)
    assert errors == []
    assert [lines[cell].verdict for cell in cells] == ["failed", "done"]
    assert lines[cells[0]].error == "its process died 3 times (its worker was lost each time)"
    assert lines[cells[0]].attempts == 3
    until(lambda: not any(psutil.pid_exists(process) for process in _begun(tmp_path, "h")))
    # the scheduler may give it to a fourth worker before the third loss is heard of here
    assert len(_begun(tmp_path, "h")) in (3, 4)
    assert [line.verdict for line in SweepStore(store.path).lines() if line.cell == cells[0]] == ["failed"]


def test_what_is_taken_back_ends_and_the_next_sweep_has_the_workers(
    cluster: Cluster, store: SweepStore, tmp_path: Path
) -> None:
    cells = [_cell("hold", folder=str(tmp_path), name=f"h{number}") for number in range(3)]
    lines = DaskEngine(cluster.address).run([_cell("echo"), *cells])
    assert next(lines).verdict == "done"
    until(lambda: any(_begun(tmp_path, f"h{number}") for number in range(3)))
    lines.close()
    begun = [process for number in range(3) for process in _begun(tmp_path, f"h{number}")]
    until(lambda: not any(psutil.pid_exists(process) for process in begun))
    cell = _cell("echo", value=2)
    assert cluster.run([cell], store)[cell].verdict == "done"
    assert not (tmp_path / "go").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_scheduler_that_goes_away_ends_the_sweep_and_what_is_finished_is_kept(
    number: signal.Signals, store: SweepStore, tmp_path: Path
) -> None:
    cells = [_cell("echo", value=1), _cell("hold", folder=str(tmp_path), name="h")]
    with started(tmp_path, 1, "--no-nanny") as cluster:
        with _sweeping(lambda: cluster.run(cells, store, patience=2.0)) as (_, errors):
            until(lambda: len(store.lines()) == 1 and bool(_begun(tmp_path, "h")))
            cluster.scheduler.send_signal(number)
        (error,) = errors
        assert isinstance(error, EngineError)
        assert f"the dask scheduler at {cluster.address} has gone away; what is finished is kept: start it again" in str(error)
        assert [line.cell for line in SweepStore(store.path).lines()] == cells[:1]


def test_a_scheduler_without_workers_is_waited_for_and_may_go_away(store: SweepStore, tmp_path: Path) -> None:
    said: list[str] = []
    with started(tmp_path, 0) as cluster:
        with _sweeping(lambda: cluster.run([_cell("echo")], store, say=said.append, patience=1.0)) as (_, errors):
            until(lambda: bool(said))
            cluster.scheduler.kill()
        assert said == [f"no worker is connected to {cluster.address} yet: waiting for one"]
        assert isinstance(errors[0], EngineError)
