"""Records go through a file unchanged, and a file that is not what it should be is refused with line, cause and remedy."""

import json
import math
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given

from fishergauge.suites.meta.random_records import comparable, runs
from fishergauge.suites.record import SCHEMA, Record
from fishergauge.suites.records_file import RecordsError, read_records, write_records

FIRST = Record(
    "mine", "T4", "mlp", measured=0.5, bound=1e-13, verdict="violated", notes=("printed",), versions={"torch": "2.13"}
)
SECOND = Record("mine", "T5", "mlp", measured=math.inf, bound=math.nan, flops=3)


def written(folder: Path, *records: Record) -> Path:
    path = folder / "run.jsonl"
    write_records(records or (FIRST, SECOND), path)
    return path


def line(**changed: object) -> str:
    content = {**FIRST.as_dict(), **changed}
    return json.dumps({key: value for key, value in content.items() if value is not ...})


@given(runs())
def test_what_is_written_is_read_back(records: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), *records)
        first = path.read_bytes()
        again = read_records(path)
        assert [comparable(record) for record in again] == [comparable(record) for record in records]
        write_records(again, path)
        assert path.read_bytes() == first
        assert first.count(b"\n") == len(records)
        assert first.endswith(b"\n")


def test_a_line_begins_with_the_schema_and_holds_no_number_that_json_does_not_know(tmp_path: Path) -> None:
    lines = written(tmp_path).read_text().splitlines()
    content = json.loads(lines[1])
    assert list(content)[:4] == ["schema", "subject", "claim", "problem"]
    assert content["schema"] == SCHEMA
    assert (content["measured"], content["measured_reason"], content["bound_reason"]) == (None, "inf", "nan")
    assert "flops_reason" not in json.loads(lines[0])
    assert json.loads(lines[0])["slack"] == FIRST.slack


def test_a_number_that_is_absent_is_not_taken_for_one_that_is_not_finite(tmp_path: Path) -> None:
    path = written(tmp_path, Record("mine", "T4", "mlp"), SECOND)
    absent, infinite = read_records(path)
    assert (absent.measured, infinite.measured) == (None, math.inf)
    path.write_text(line(measured=None, measured_reason="not looked at"))
    assert read_records(path)[0].measured is None
    path.write_text(line(measured=None, measured_reason=["inf"]))
    assert read_records(path)[0].measured is None


def test_unknown_and_absent_fields_are_passed_over_and_files_may_be_concatenated(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    later = line(temperature=[1, {"a": 2}], formula=..., notes=..., versions=..., seconds=..., slack="?")
    path.write_bytes(b"\xef\xbb\xbf" + later.encode() + b"\r\n\n" + line(claim="T5").encode())
    first, second = read_records(path)
    assert (first.claim, first.notes, first.measured, second.claim) == ("T4", (), 0.5, "T5")


DAMAGED = {
    "another schema": (line(schema=SCHEMA + 1), "schema 2, this version of fishergauge reads schema 1"),
    "a schema that is no number": (line(schema=True), "schema True"),
    "no schema": (line(schema=...), "not a records file"),
    "a list": ("[1, 2]", "not a records file"),
    "a list with the word": ('["schema"]', "not a records file"),
    "a number": ("5", "not a records file"),
    "no JSON": ("{oops", "line 2: damaged"),
    "a bare NaN": (line(measured=math.nan), "NaN is not JSON"),
    "a number out of range": (line().replace("0.5", "1e999"), "measured is a finite number or null"),
    "a number without end": (line().replace("0.5", "1" * 400), "measured is a finite number or null"),
    "a key twice": (line().replace('"T4"', '"T4", "claim": "T5"'), "the key 'claim' occurs twice"),
    "no verdict": (line(verdict=...), "without verdict"),
    "an unknown verdict": (line(verdict="fine"), "verdict is one of holds, violated"),
    "a verdict that is a list": (line(verdict=["holds"]), "verdict is one of"),
    "a text for a number": (line(measured="0.5"), "measured is a finite number or null, not '0.5'"),
    "a truth value for a number": (line(bound=True), "bound is a finite number or null, not True"),
    "no duration": (line(seconds=None), "seconds is a number"),
    "a fraction for a seed": (line(seed=0.5), "seed is a whole number"),
    "a truth value for a count": (line(flops=False), "flops is a whole number"),
    "a number for a text": (line(claim=4), "claim is a text"),
    "notes that are a text": (line(notes="printed"), "notes is a list of texts"),
    "versions that are a list": (line(versions=["2.13"]), "versions is an object of texts"),
    "a version that is a number": (line(versions={"torch": 2.13}), "versions is an object of texts"),
    "nested without end": ("[" * 100_000, "damaged"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_line_is_named(name: str, tmp_path: Path) -> None:
    wrong, cause = DAMAGED[name]
    path = tmp_path / "run.jsonl"
    path.write_text(f"{line(claim='T0')}\n{wrong}\n")
    with pytest.raises(RecordsError) as caught:
        read_records(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert cause in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("cut", [2, 30, 300])
def test_a_file_that_ends_in_the_middle_of_a_line_is_truncated(cut: int, tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(RecordsError, match=r"line 2: .*truncated"):
        read_records(path)


def test_a_damaged_line_in_the_middle_is_not_taken_for_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(f"{line()}\n{line(claim='T5')[:-9]}\n{line(claim='T6')}")
    with pytest.raises(RecordsError, match="line 2: damaged"):
        read_records(path)


def test_a_check_that_occurs_twice_is_refused_on_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with pytest.raises(RecordsError, match=r"T4@mlp\[float64-cpu\] of mine is to be written twice"):
        write_records([FIRST, FIRST], path)
    assert not path.exists()
    path.write_text(f"{line()}\n{line(claim='T5')}\n{line(seed=3)}\n")
    with pytest.raises(RecordsError, match=r"line 3: the check T4@mlp\[float64-cpu\] of mine stands on line 1 already"):
        read_records(path)
    path.write_text(f"{line()}\n{line(dtype='float32')}\n{line(device='cuda')}\n{line(subject='other')}\n")
    assert len(read_records(path)) == 4


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "the file is empty; write one with fishergauge check"),
        (b"\n \n", "the file is empty"),
        (b"\xff\xfe{\x00", "not a records file: byte 0 is not UTF-8"),
        (b"claim,problem\nT4,mlp\n", "line 1: not a records file, or damaged"),
    ],
)
def test_what_is_no_records_file_is_refused(content: bytes, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordsError, match=cause):
        read_records(path)


def test_a_file_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match=r"gone.jsonl: no such file; write one with fishergauge check .* --json"):
        read_records(tmp_path / "gone.jsonl")
    with pytest.raises(RecordsError, match="cannot be read"):
        read_records(tmp_path)


def test_nothing_to_write_and_nowhere_to_write_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="no records to write"):
        write_records([], tmp_path / "run.jsonl")
    with pytest.raises(RecordsError, match=r"there is no folder .*results; create it first"):
        write_records([FIRST], tmp_path / "results" / "run.jsonl")
    with pytest.raises(RecordsError, match="is a folder; name a file in it"):
        write_records([FIRST], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, FIRST)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RecordsError, match=r"cannot be written: .*No space left"):
            write_records([SECOND], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write_records([SECOND], path)
    assert read_records(path)[0].claim == "T5"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only where there are named pipes")
def test_a_link_stays_a_link_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    path, link, pipe = tmp_path / "run.jsonl", tmp_path / "latest.jsonl", tmp_path / "pipe"
    link.symlink_to(path)
    write_records([FIRST], link)
    assert link.is_symlink()
    assert read_records(path)[0].claim == "T4"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_records([FIRST], pipe)
        assert os.read(reader, 1 << 16) == path.read_bytes()
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
