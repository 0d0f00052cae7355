from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fishergauge.reports.sweep.cell import CellError, SweepCell, make_cell
from fishergauge.reports.sweep.engine import EngineError, line_of_the_dead
from fishergauge.reports.sweep.execution import sweep
from fishergauge.reports.sweep.line import Line
from fishergauge.reports.sweep.serial_engine import SerialEngine
from fishergauge.reports.sweep.store import StoreError, SweepStore

CELLS = [make_cell("json:dumps", label=f"cell {number}", obj=number) for number in range(4)]


class Recited:
    """An engine that gives prepared verdicts, and counts what it was asked for."""

    name = "recited"

    def __init__(self, *verdicts: str, left_out: int = 0) -> None:
        self.verdicts, self.left_out = verdicts, left_out
        self.asked: list[SweepCell] = []
        self.closed = False

    def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
        self.asked += cells
        try:
            for cell, verdict in zip(list(cells)[self.left_out :], self.verdicts, strict=False):
                if verdict == "interrupt":
                    raise KeyboardInterrupt
                failed = line_of_the_dead(cell, 3, verdict)
                yield failed if verdict == "failed" else replace(failed, verdict="done", result={"by": verdict}, error="")
        finally:
            self.closed = True


@pytest.fixture
def store(tmp_path: Path) -> SweepStore:
    return SweepStore(tmp_path / "cells.jsonl")


def test_what_is_done_is_kept_and_what_failed_is_tried_again(store: SweepStore) -> None:
    said: list[str] = []
    first = Recited("a", "failed", "a", "a")
    lines = sweep(CELLS, store, first, say=said.append)
    assert list(lines) == CELLS == first.asked
    assert [line.verdict for line in lines.values()] == ["done", "failed", "done", "done"]
    assert said == ["cell 1 failed: its process died 3 times (failed)"]
    second = Recited("b")
    lines = sweep(CELLS, SweepStore(store.path), second, say=said.append)
    assert second.asked == [CELLS[1]]
    assert [line.result for line in lines.values()] == [{"by": by} for by in "abaa"]
    third = Recited()
    assert sweep(CELLS[::-1], SweepStore(store.path), third) == lines
    assert third.asked == []
    assert len(said) == 1


def test_an_interrupt_leaves_what_is_finished_and_closes_the_engine(store: SweepStore) -> None:
    engine = Recited("a", "a", "interrupt")
    with pytest.raises(KeyboardInterrupt):
        sweep(CELLS, store, engine)
    assert engine.closed
    assert [line.cell for line in SweepStore(store.path).lines()] == CELLS[:2]

    class Held(Recited):
        def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
            self.held = super().run(cells)  # so that nothing but closing ends it
            return self.held

    def stop(done: int, total: int, what: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    engine = Held("b", "b")
    with pytest.raises(KeyboardInterrupt):
        sweep(CELLS, store, engine, progress=stop)
    assert engine.closed
    assert [line.cell for line in SweepStore(store.path).lines()] == CELLS[:3]


def test_progress_counts_from_what_is_kept(store: SweepStore) -> None:
    told: list[tuple[int, int, str]] = []
    sweep(CELLS[:2], store, Recited("a", "a"), progress=lambda done, total, what: told.append((done, total, str(what))))
    sweep(CELLS[:3], store, Recited("a"), progress=lambda done, total, what: told.append((done, total, str(what))))
    assert told == [
        (0, 2, ""), (1, 2, "cell 0"), (2, 2, "cell 1"), (2, 3, "kept from an earlier run"), (3, 3, "cell 2"),
    ]  # fmt: skip


def test_a_cell_that_stands_twice_is_computed_once(store: SweepStore) -> None:
    twin = replace(CELLS[0], label="twin")
    engine = Recited("a")
    lines = sweep([CELLS[0], twin, CELLS[0]], store, engine)
    assert len(engine.asked) == 1
    assert list(lines) == [CELLS[0], twin]
    assert lines[twin] == lines[CELLS[0]]


def test_another_run_that_was_faster_counts(store: SweepStore) -> None:
    class Slow(Recited):
        def run(self, cells: Sequence[SweepCell]) -> Generator[Line, None, None]:
            sweep(CELLS[:1], SweepStore(store.path), Recited("other"))
            yield from super().run(cells)

    assert sweep(CELLS[:1], store, Slow("own"))[CELLS[0]].result == {"by": "other"}
    assert len(store.path.read_text().splitlines()) == 1


def test_a_file_that_cannot_be_written_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    engine = Recited("a")
    with pytest.raises(StoreError, match="cannot be written"):
        sweep(CELLS[:1], SweepStore(tmp_path / "file" / "cells.jsonl"), engine)
    assert engine.asked == []
    assert sweep([], SweepStore(tmp_path / "empty" / "cells.jsonl"), engine) == {}
    assert (tmp_path / "empty" / "cells.jsonl").read_bytes() == b""  # of an empty shard, which can be merged


def test_an_engine_that_forgets_a_cell_is_an_error(store: SweepStore) -> None:
    with pytest.raises(EngineError, match="recited left out 1 cell, cell 0 among them"):
        sweep(CELLS, store, Recited("a", "a", "a", left_out=1))
    assert len(store.lines()) == 3


def test_numbers_that_are_equal_to_python_alone_are_refused(store: SweepStore) -> None:
    with pytest.raises(CellError, match="the kind of a number"):
        sweep([make_cell("json:dumps", obj=1), make_cell("json:dumps", obj=1.0)], store, Recited("a", "a"))


def test_a_real_engine_gives_the_results_that_are_read_back(store: SweepStore) -> None:
    lines = sweep(CELLS, store, SerialEngine())
    assert [line.result for line in lines.values()] == ["0", "1", "2", "3"]
    assert {line.key: line for line in SweepStore(store.path).lines()} == {line.key: line for line in lines.values()}
