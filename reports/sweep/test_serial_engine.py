import os
import subprocess
import sys

import pytest
import torch

from fishergauge.reports.sweep.cell import make_cell
from fishergauge.reports.sweep.serial_engine import SerialEngine

ECHO = "fishergauge.reports.sweep.rehearsal:echo"
FAIL = "fishergauge.reports.sweep.rehearsal:fail"
LEAVE = "fishergauge.reports.sweep.rehearsal:leave"


def test_cells_run_here_in_order_and_groups_in_processes_of_their_own() -> None:
    cells = [
        make_cell(ECHO, value=1),
        make_cell(ECHO, group="a", value=2),
        make_cell(FAIL),
        make_cell(ECHO, group="b", value=3),
    ]
    lines = list(SerialEngine().run(cells))
    assert [line.cell for line in lines] == [cells[0], cells[2], cells[1], cells[3]]
    assert [line.verdict for line in lines] == ["done", "failed", "done", "done"]
    processes = [line.result["process"] for line in lines if line.result]
    assert processes[0] == os.getpid()
    assert len(set(processes)) == 3
    assert "in fail" in lines[1].trace


def test_cells_run_on_one_thread_and_the_number_is_put_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        (line,) = SerialEngine().run([make_cell("fishergauge.reports.sweep.rehearsal:threads")])
        assert line.result == {"threads": 1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_an_interrupt_is_the_users() -> None:
    lines = SerialEngine().run([make_cell(ECHO), make_cell(LEAVE, how="interrupt"), make_cell(ECHO, value=1)])
    assert next(lines).verdict == "done"
    with pytest.raises(KeyboardInterrupt):
        next(lines)


def test_cells_without_a_group_need_no_further_package() -> None:
    script = f"""
import sys
sys.modules["joblib"] = sys.modules["distributed"] = None
from fishergauge.reports.sweep.cell import make_cell
from fishergauge.reports.sweep.serial_engine import SerialEngine
assert [line.verdict for line in SerialEngine().run([make_cell("{ECHO}")])] == ["done"]
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
