import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fishergauge.reports.sweep import merge_command
from fishergauge.reports.sweep.cell import key_of, make_cell
from fishergauge.reports.sweep.line import Line, parse_line
from fishergauge.reports.sweep.merge import merge
from fishergauge.reports.sweep.store import StoreError, SweepStore

Write = Callable[..., Path]


def _line(number: int, result: object = "r", *, failed: bool = False, code: str = "1", alone: str = "") -> Line:
    cell = make_cell("json:dumps", alone=alone, obj=number)
    key = key_of(cell.function, dict(cell.settings), code, "2")
    error = "E" if failed else ""
    return Line(key, cell, "failed" if failed else "done", None if failed else result, error, code=code, torch="2")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, *lines: Line | str) -> Path:
        path = tmp_path / name / "cells.jsonl"
        path.parent.mkdir()
        path.write_text("".join(line if isinstance(line, str) else f"{line.text()}\n" for line in lines))
        return path

    return written


def _run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    merge_command.add_parser(parser.add_subparsers())
    options = parser.parse_args(["merge", *map(str, arguments)])
    code: int = options.run(options)
    return code


def test_a_merge_is_the_concatenation_without_doubles(write: Write, tmp_path: Path) -> None:
    one = write("a", _line(1), _line(2, failed=True), _line(3, failed=True))
    two = write("b", _line(1), _line(2), _line(4, code="9"), replace(_line(3, failed=True), error="last"))
    out = tmp_path / "c" / "cells.jsonl"
    said: list[str] = []
    merged = merge([one, two], out, said.append)
    cat = tmp_path / "cat.jsonl"
    cat.write_bytes(one.read_bytes() + two.read_bytes())
    assert SweepStore(out).lines() == SweepStore(cat).lines() == list(merged.lines)
    assert [(line.cell.settings[0][1], line.verdict) for line in merged.lines] == [
        (1, "done"), (2, "done"), (3, "failed"), (4, "done"),
    ]  # fmt: skip
    assert [line.error for line in merged.lines if line.verdict == "failed"] == ["last"]
    assert len(out.read_text().splitlines()) == 4
    assert (merged.damaged, merged.conflicts) == (0, [])
    assert said == ["there are lines of several versions, of which a run uses its own: "
                    "fishergauge 1 with torch 2, fishergauge 9 with torch 2"]  # fmt: skip


def test_two_results_of_a_cell_are_said_and_times_are_not(write: Write, tmp_path: Path) -> None:
    rows = [{"rows": [{"value": value, "step_seconds": time}], "seconds": time} for value, time in ((1, 2), (1, 3), (4, 2))]
    one = write("a", _line(1, rows[0]), _line(2, rows[0]), _line(3, rows[0], alone="cpu"))
    two = write("b", _line(1, rows[1]), replace(_line(2, rows[2]), worker="there:1"), _line(3, rows[2], alone="cpu"))
    said: list[str] = []
    merged = merge([one, two], tmp_path / "out.jsonl", said.append)
    assert [line.cell for line in merged.conflicts] == [_line(2).cell]
    assert len(said) == 1
    assert said[0].startswith("conflict: json:dumps(obj=2) has two results")
    assert "there:1" in said[0]
    assert [line.result for line in merged.lines] == [rows[0]] * 3
    assert len(merge([write("c", _line(2, 1), _line(2, 2))], tmp_path / "d.jsonl", said.append).conflicts) == 1


def test_the_command_says_what_it_did(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, out = write("a", _line(1)), write("b", _line(2, failed=True)), tmp_path / "c" / "cells.jsonl"
    assert _run(one, two, "--out", out) == 0
    assert capsys.readouterr().out == f"{out}: 2 cells of 2 files, 1 failed; 0 damaged lines left out, 0 conflicts\n"


def test_damaged_input_keeps_what_is_sound_and_is_an_error(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = write("a", _line(1), "nonsense\n", _line(2)), write("b", _line(3), _line(4).text()[:-5])
    out = tmp_path / "out.jsonl"
    assert _run(one, two, "--out", out) == 1
    assert [parse_line(text).cell.settings[0][1] for text in out.read_text().splitlines()] == [1, 2, 3]
    printed = capsys.readouterr().out
    assert f"{one}: line 2 is damaged" in printed
    assert f"{two}: line 2 is damaged" in printed
    assert "3 cells of 2 files, 0 failed; 2 damaged lines left out" in printed


def test_a_result_is_never_overwritten_unless_it_is_merged(write: Write, tmp_path: Path) -> None:
    one, two = write("a", _line(1)), write("b", _line(2))
    with pytest.raises(StoreError, match="exists; name it among the files"):
        merge([one], two)
    assert len(SweepStore(two).lines()) == 1
    merge([one, two], two)
    assert len(SweepStore(two).lines()) == 2
    assert len(SweepStore(one).lines()) == 1


def test_what_cannot_be_merged_is_wrong_use(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(write("s", _line(1)), write("e"), "--out", tmp_path / "of-an-empty-shard.jsonl") == 0
    capsys.readouterr()
    sound, empty, other = write("a", _line(1)), write("b"), write("c", _line(1).text().replace('"schema": 1', '"schema": 7'))
    out = tmp_path / "out.jsonl"
    for files, said in (
        ((tmp_path / "none.jsonl", sound), "no such file; give the cells.jsonl"),
        ((tmp_path / "a",), "is a folder; give the file in it"),
        ((empty,), "there are no lines in"),
        ((sound, other), "line 1: schema 7"),
    ):
        assert _run(*files, "--out", out) == 2
        assert said in capsys.readouterr().err
        assert not out.exists()
