"""Cells of experiments as cells of a sweep: what is sent, what is alone, and what comes back from another process."""

from dataclasses import replace

import pytest

from fishergauge.reports.cell import Cell
from fishergauge.reports.experiments import EXPERIMENTS
from fishergauge.reports.options import Options
from fishergauge.reports.sweep.cells_of_reproduce import TIMED, record_of, sweep_cell
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.targets import TARGETS
from fishergauge.suites.jsonable import jsonable

FIRST = Cell("e4", "published", "synthetic", 0, (("kappas", "1,10"),))


def test_every_cell_of_every_experiment_can_be_sent() -> None:
    for quick in (True, False):
        cells = [cell for name in TARGETS for cell in EXPERIMENTS[name].cells(Options(quick=quick))]
        sent = {cell: sweep_cell(cell, "cpu") for cell in cells}
        assert len({one.key for one in sent.values()}) == len(set(cells)) > 20
        assert {cell.protocol for cell, one in sent.items() if one.alone} == TIMED
        assert all(dict(one.settings).items() >= dict(cell.settings).items() for cell, one in sent.items())
        assert all(str(one) == cell.label for cell, one in sent.items())


def test_keys_differ_with_everything_that_determines_the_result() -> None:
    cells = [
        FIRST,
        replace(FIRST, seed=1),
        replace(FIRST, experiment="e3"),
        replace(FIRST, protocol="corrected"),
        replace(FIRST, data="digits"),
        replace(FIRST, settings=(("kappas", "1,100"),)),
        replace(FIRST, settings=(("kappas", "1,10"), ("study", "order"))),
    ]
    sent = [sweep_cell(cell, "cpu") for cell in cells] + [sweep_cell(FIRST, "cuda")]
    assert len({one.key for one in sent}) == len(sent)
    pairs = (("a", 1), ("b", 2.5))
    one, other = (sweep_cell(replace(FIRST, settings=order), "cpu") for order in (pairs, pairs[::-1]))
    assert one.key == other.key


@pytest.mark.parametrize("name", ["seed", "device", "label", "group"])
def test_a_setting_that_every_cell_has_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"a setting cannot be called '{name}'"):
        sweep_cell(replace(FIRST, settings=((name, 1),)), "cpu")


def test_a_timed_cell_needs_the_device_on_which_it_runs() -> None:
    timed = replace(FIRST, protocol="timed")
    assert [sweep_cell(timed, device).alone for device in ("cpu", "cuda:0")] == ["cpu", "cuda"]
    assert sweep_cell(FIRST, "cuda").alone == ""


def test_another_process_gives_the_same_record() -> None:
    (cell, *_) = EXPERIMENTS["vector-field"].cells(Options(("vector-field",), quick=True))
    (line,) = LokyEngine(1).run([sweep_cell(cell, "cpu")])
    assert line.verdict == "done", line.trace
    assert line.result == jsonable(EXPERIMENTS["vector-field"].run(cell, "cpu"))
    again = record_of(cell.experiment, cell.protocol, cell.data, cell.seed, "cpu", **dict(cell.settings))
    assert line.result == jsonable(again)
