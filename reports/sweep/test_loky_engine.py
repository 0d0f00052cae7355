import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from fishergauge.reports.code_version import code_version
from fishergauge.reports.sweep import engine
from fishergauge.reports.sweep.cell import SweepCell, make_cell
from fishergauge.reports.sweep.engine import EngineError
from fishergauge.reports.sweep.execution import sweep
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.sweep.rehearsal import wait_for
from fishergauge.reports.sweep.store import SweepStore

REHEARSAL = "fishergauge.reports.sweep.rehearsal:"


def _cell(function: str, **settings: str | float) -> SweepCell:
    return make_cell(REHEARSAL + function, **settings)  # type: ignore[arg-type]


def _computed(cells: list[SweepCell], jobs: int) -> dict[SweepCell, Line]:
    lines = list(LokyEngine(jobs).run(cells))
    assert Counter(line.cell for line in lines) == Counter(cells)
    return {line.cell: line for line in lines}


def _begun(folder: Path, name: str) -> list[int]:
    return [int(number) for number in (folder / f"{name}.begun").read_text().split()]


def test_every_cell_once_on_one_thread_and_what_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    echoes = [_cell("echo", value=number) for number in range(5)]
    fails = {
        _cell("fail", value=1): "RuntimeError: planted failure 1",
        _cell("give", kind="object"): "TypeError: a object does not go into JSON",
        _cell("give", kind="bare-nan"): "ValueError: the result holds nan outside a dictionary",
        _cell("leave", how="sys-exit"): "SystemExit: 3",
        _cell("leave", how="interrupt"): "KeyboardInterrupt",
        _cell("no_such_function"): "AttributeError",
        make_cell("no_such_module:function"): "ModuleNotFoundError",
    }
    nan = _cell("give", kind="nan")
    threads = [_cell("threads"), make_cell(REHEARSAL + "threads", group="other")]
    lines = _computed([*echoes, *fails, nan, *threads], jobs=2)
    assert [lines[cell].result["value"] for cell in echoes] == list(range(5))
    assert [lines[cell].result for cell in threads] == [{"threads": 1}] * 2
    processes = {line.worker for cell, line in lines.items() if not cell.group}
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in {lines[cell].result["process"] for cell in echoes}
    for cell, error in fails.items():
        assert lines[cell].verdict == "failed"
        assert lines[cell].error.startswith(error)
        assert "Traceback" in lines[cell].trace
    assert lines[nan].result == {"value": None, "value_reason": "nan"}
    assert {line.attempts for line in lines.values()} == {1}


def test_a_cell_that_kills_its_process_fails_alone_at_the_third_time(tmp_path: Path) -> None:
    folder = str(tmp_path)
    poison = _cell("leave", how="kill", folder=folder)
    once = _cell("leave", how="exit", folder=str(tmp_path / "once"), times=1)
    (tmp_path / "once").mkdir()
    innocent = [_cell("echo", value=number) for number in range(3)]
    lines = _computed([poison, once, *innocent], jobs=2)
    assert lines[poison].verdict == "failed"
    assert lines[poison].error == "its process died 3 times (SIGKILL(-9))"
    assert lines[poison].attempts == 3 == len(set(_begun(tmp_path, "leave")))
    assert (lines[once].verdict, lines[once].attempts, lines[once].result) == ("done", 2, {"begun": 2})
    assert [(lines[cell].verdict, lines[cell].attempts) for cell in innocent] == [("done", 1)] * 3


def test_timing_cells_run_alone_and_groups_share_no_process(tmp_path: Path) -> None:
    def cell(number: int, alone: str = "", group: str = "", until: str = "") -> SweepCell:
        settings = {"folder": str(tmp_path), "name": f"n{number}", "seconds": 0.2, "until": until}
        return make_cell(REHEARSAL + "alone", alone=alone, group=group, **settings)  # type: ignore[arg-type]

    timing = [cell(1, "cpu"), cell(2, "cuda")]
    others = [cell(3, until="n4"), cell(4, until="n3"), cell(5, group="b")]
    lines = _computed([*others, *timing], jobs=2)
    assert [lines[one].result["beside"] for one in timing] == [[], []]
    assert any(lines[one].result["beside"] for one in others)
    assert not {"n1", "n2"} & {name for one in others for name in lines[one].result["beside"]}
    processes = {group: {line.result["process"] for one, line in lines.items() if one.group == group} for group in ("", "b")}
    assert not processes[""] & processes["b"]


def test_a_killed_process_costs_nothing(tmp_path: Path) -> None:
    cells = [_cell("hold", folder=str(tmp_path), name=f"h{number}") for number in range(4)]
    store = SweepStore(tmp_path / "cells.jsonl")
    computed: dict[SweepCell, Line] = {}
    thread = threading.Thread(target=lambda: computed.update(sweep(cells, store, LokyEngine(2))))
    thread.start()
    begun = [tmp_path / "h0.begun", tmp_path / "h1.begun"]
    for path in begun:
        wait_for(path)
    (victim,) = _begun(tmp_path, "h0")
    os.kill(_begun(tmp_path, "h1")[0], signal.SIGINT)  # as from the keyboard, which is for the parent alone
    os.kill(victim, signal.SIGKILL)
    (tmp_path / "go").touch()
    thread.join(60)
    assert not thread.is_alive()
    assert {line.verdict for line in computed.values()} == {"done"}
    assert {line.cell: line.attempts for line in computed.values()} == {cell: 1 + (cell == cells[0]) for cell in cells}
    assert [len(_begun(tmp_path, f"h{number}")) for number in range(4)] == [2, 1, 1, 1]
    assert SweepStore(store.path).lines() == store.lines()
    assert Counter(line.cell for line in store.lines()) == Counter(cells)
    assert len(store.path.read_text().splitlines()) == 4


SCRIPT = """
import signal, sys
from pathlib import Path
from fishergauge.reports.sweep.cell import make_cell
from fishergauge.reports.sweep.execution import sweep
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.sweep.store import SweepStore
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
folder = sys.argv[1]
cells = [make_cell("fishergauge.reports.sweep.rehearsal:echo", value=number) for number in range(3)]
cells += [make_cell("fishergauge.reports.sweep.rehearsal:hold", folder=folder, name="h")]
sweep(cells, SweepStore(Path(folder, "cells.jsonl")), LokyEngine(2))
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of a terminal are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_or_killed_run_leaves_what_is_finished_and_no_process(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            wait_for(tmp_path / "h.begun")
            path = tmp_path / "cells.jsonl"
            _until(lambda: path.exists() and len(path.read_text().splitlines()) == 3)
            if number == signal.SIGINT:  # the terminal sends it to all of them
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode != 0
    assert errors.count("KeyboardInterrupt") == (number == signal.SIGINT)
    _until(lambda: _is_gone(process.pid))
    finished = SweepStore(path).lines()
    assert [line.verdict for line in finished] == ["done"] * 3
    (tmp_path / "go").touch()
    subprocess.run(command, check=True, timeout=60)
    lines = SweepStore(path).lines()
    assert lines[:3] == finished
    assert lines[3].result == {"name": "h", "begun": 2}
    assert len(path.read_text().splitlines()) == 4


def _is_gone(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def _until(holds: object, patience: float = 60.0) -> None:
    import time

    assert callable(holds)
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_worker_of_another_version_is_an_error_that_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "code_version", lambda: "0.0+here")
    with pytest.raises(
        EngineError, match=r"the worker .* has fishergauge .* with torch .*0\.0\+here.*install the same"
    ) as error:
        list(LokyEngine(1).run([_cell("echo")]))
    assert code_version() in str(error.value)


def test_no_process_is_no_engine() -> None:
    with pytest.raises(ValueError, match="at least one, not 0"):
        LokyEngine(0)
    assert list(LokyEngine(2).run([])) == []
