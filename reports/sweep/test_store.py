import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fishergauge.reports.sweep.cell import SweepCell, key_of, make_cell
from fishergauge.reports.sweep.line import Line, SchemaError
from fishergauge.reports.sweep.store import StoreError, SweepStore


def _line(number: int, result: object = None, verdict: str = "done", code: str = "1") -> Line:
    cell = make_cell("json:dumps", obj=number)
    key = key_of(cell.function, dict(cell.settings), code, "2")
    return Line(key, cell, "done" if verdict == "done" else "failed", result, code=code, torch="2")


def _counting(path: Path) -> list[tuple[int, str, object]]:
    said: list[str] = []
    lines = SweepStore(path, said.append).lines()
    assert said == []
    return [(dict(line.cell.settings)["obj"], line.verdict, line.result) for line in lines]  # type: ignore[misc]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "cells.jsonl"


def test_what_is_added_is_there_and_read_back(path: Path) -> None:
    store = SweepStore(path)
    assert store.lines() == []
    assert not path.exists()
    store.make()
    assert path.read_bytes() == b""
    assert store.add(_line(1, {"a": 1})).result == {"a": 1}
    store.add(_line(2, verdict="failed"))
    assert path.read_bytes().count(b"\n") == 2
    assert _counting(path) == [(1, "done", {"a": 1}), (2, "failed", None)]
    assert SweepStore(path).lines() == store.lines()


def test_a_cell_is_found_under_its_own_versions_alone(path: Path) -> None:
    cell = make_cell("json:dumps", obj=1)
    store = SweepStore(path)
    store.add(_line(1))
    assert store.get(cell) is None  # of other versions
    current = Line(cell.key, cell, "done", 1, code=_version()[0], torch=_version()[1])
    store.add(current)
    assert store.get(cell) == current == SweepStore(path).get(cell)
    assert len(store.lines()) == 2


def _version() -> tuple[str, str]:
    import torch

    from fishergauge.reports.code_version import code_version

    return code_version(), str(torch.__version__)


def test_the_first_done_counts_and_the_last_failed_where_none_is(path: Path) -> None:
    store = SweepStore(path)
    first, second = replace(_line(1, verdict="failed"), error="a"), replace(_line(1, verdict="failed"), error="b")
    assert store.add(first).error == "a"
    assert store.add(second).error == "b"
    assert store.add(_line(1, "x")).result == "x"
    before = path.read_bytes()
    assert store.add(_line(1, "y")).result == "x"
    assert store.add(first).result == "x"
    assert path.read_bytes() == before
    path.write_bytes(before + _line(1, "z").text().encode() + b"\n" + second.text().encode() + b"\n")
    again = SweepStore(path)
    assert [line.result for line in again.lines()] == ["x"]
    assert [line.result for line in again.second] == ["z"]


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_half_written_last_line_costs_its_cell_alone(path: Path, kept: int) -> None:
    SweepStore(path).add(_line(1))
    whole, half = path.read_bytes(), (_line(2).text().encode())[:kept]
    path.write_bytes(whole + half)
    said: list[str] = []
    store = SweepStore(path, said.append)
    assert [line.key for line in store.lines()] == [_line(1).key]
    assert len(said) == store.damaged == (kept != 0)
    store.add(_line(2))
    store.add(_line(3))
    assert path.read_bytes().startswith(whole + half)  # what is damaged stays
    said.clear()
    assert [line.key for line in SweepStore(path, said.append).lines()] == [_line(number).key for number in (1, 2, 3)]
    assert len(said) == (kept != 0)
    assert all("line 2 is damaged and left out" in text for text in said)


def test_a_last_line_that_lacks_its_end_only_is_sound(path: Path) -> None:
    SweepStore(path).add(_line(1))
    path.write_bytes(path.read_bytes()[:-1])
    SweepStore(path).add(_line(2))
    assert [value for value, *_ in _counting(path)] == [1, 2]


def test_damage_in_the_middle_is_said_with_its_line(path: Path) -> None:
    store = SweepStore(path)
    for number in range(4):
        store.add(_line(number))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"\x00\xff nothing\n"
    lines[2] = b"\n" + lines[2]
    path.write_bytes(b"".join(lines))
    said: list[str] = []
    again = SweepStore(path, said.append)
    assert [line.key for line in again.lines()] == [_line(number).key for number in (0, 2, 3)]
    assert again.damaged == 1
    (text,) = said
    assert text.startswith(f"{path}: line 2 is damaged and left out")


def test_of_many_damaged_lines_some_are_named_and_all_are_counted(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("no line of a sweep\n" * 42 + f"{_line(1).text()}\n")
    said: list[str] = []
    store = SweepStore(path, said.append)
    assert (store.damaged, len(store.lines())) == (42, 1)
    assert [text.partition(" is damaged")[0] for text in said[:-1]] == [f"{path}: line {number}" for number in range(1, 11)]
    assert said[-1] == f"{path}: further damaged lines are left out, and not named"


def test_another_schema_is_refused_with_file_and_line(path: Path) -> None:
    SweepStore(path).add(_line(1))
    path.write_text(path.read_text() + _line(2).text().replace('"schema": 1', '"schema": 9') + "\n")
    with pytest.raises(SchemaError, match=r"cells\.jsonl: line 2: schema 9"):
        SweepStore(path)


def test_two_stores_on_one_file_see_one_another(path: Path) -> None:
    one, other = SweepStore(path), SweepStore(path)
    one.add(_line(1, "one"))
    assert other.add(_line(1, "other")).result == "one"
    other.add(_line(2))
    one.add(_line(3))
    assert [value for value, *_ in _counting(path)] == [1, 2, 3]
    assert len(path.read_text().splitlines()) == 3


def test_a_line_is_added_by_one_process_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl", reason="locks are those of POSIX")
    store = SweepStore(path)
    store.make()
    flock, asked = fcntl.flock, threading.Event()

    def ask(file: object, kind: int) -> None:
        if kind == fcntl.LOCK_EX:
            asked.set()
        flock(file, kind)

    results: list[object] = []
    with path.open("ab") as other:
        flock(other, fcntl.LOCK_EX)
        monkeypatch.setattr(fcntl, "flock", ask)
        thread = threading.Thread(target=lambda: results.append(store.add(_line(1, "own")).result))
        thread.start()
        assert asked.wait(30)
        other.write(_line(1, "other").text().encode() + b"\n")
        other.flush()
        flock(other, fcntl.LOCK_UN)
    thread.join(30)
    assert results == ["other"]
    assert _counting(path) == [(1, "done", "other")]


WRITER = """
import sys
from pathlib import Path
from fishergauge.reports.sweep.test_store import _line
from fishergauge.reports.sweep.store import SweepStore
path, begin, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store = SweepStore(path)
print("ready", flush=True)
sys.stdin.readline()
for number in range(begin, end):
    store.add(_line(number, "x" * 20_000))
"""


def test_two_processes_append_to_one_file_without_loss_or_doubles(path: Path) -> None:
    ranges = ((0, 60), (40, 100))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(begin), str(end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for begin, end in ranges
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0
    counting = _counting(path)
    assert sorted(value for value, *_ in counting) == list(range(100))
    assert len(path.read_text().splitlines()) == 100
    assert {len(str(result)) for *_, result in counting} == {20_000}


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        SweepStore(tmp_path / "file" / "cells.jsonl").add(_line(1))
    with pytest.raises(StoreError, match="cannot be opened: Is a directory"):
        SweepStore(tmp_path)


def test_cells_are_kept_with_all_they_have(path: Path) -> None:
    cell = SweepCell("json:dumps", (("obj", 1),), "label", "cuda", "group")
    SweepStore(path).add(Line(key_of(cell.function, {"obj": 1}, "1", "2"), cell, "done", [1], code="1", torch="2"))
    assert SweepStore(path).lines()[0].cell == cell
