"""A missing or damaged artefact costs nothing but itself, and the gap names file, cause and remedy."""

from pathlib import Path

import pytest

from fishergauge.reports.page.json_artefact import listed, mapping, read_json

WHAT, COMMAND = "the run", "fishergauge peers"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (None, "is not there"),
        ('{"schema": 1, "quantities": [', "is damaged"),
        ("", "is damaged"),
        ("[1, 2]", "it holds no object"),
        ('{"schema": 2}', "has schema 2"),
        ("{}", "has schema None"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_what_cannot_be_read_is_a_gap(tmp_path: Path, text: str | None, cause: str) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text, encoding="utf-8")
    content, gap = read_json(tmp_path, "run.json", WHAT, COMMAND)
    assert content == {}
    assert gap is not None
    assert (gap.what, gap.command) == (WHAT, COMMAND)
    assert "run.json" in gap.why
    assert cause in gap.why
    assert str(tmp_path) not in gap.why


def test_a_file_that_is_no_text_and_a_folder_are_gaps(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.json").mkdir()
    for name in ("run.json", "folder.json", "run.json/inner.json"):
        content, gap = read_json(tmp_path, name, WHAT, COMMAND)
        assert content == {}
        assert gap is not None
        assert name in gap.why


def test_a_good_file_is_read_with_fields_that_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 1, "later": [1]}', encoding="utf-8")
    assert read_json(tmp_path, "run.json", WHAT, COMMAND) == ({"schema": 1, "later": [1]}, None)
    assert read_json(tmp_path, "run.json", WHAT, COMMAND, schema=None)[1] is None


def test_values_of_another_kind_are_empty() -> None:
    assert mapping([1]) == {}
    assert mapping(None) == {}
    assert mapping({"a": 1}) == {"a": 1}
    assert listed({"a": 1}) == []
    assert listed("ab") == []
    assert listed([1]) == [1]
