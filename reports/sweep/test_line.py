import json
from dataclasses import replace

import pytest

from fishergauge.reports.sweep.cell import key_of, make_cell
from fishergauge.reports.sweep.line import Line, LineError, SchemaError, parse_line
from fishergauge.reports.usage import UsageError

CELL = make_cell("json:dumps", label="three", group="g", obj=3)
KEY = key_of("json:dumps", {"obj": 3}, "1.0+abc", "2.9")
DONE = Line(KEY, CELL, "done", {"rows": [{"a": 1.5, "b": None}]}, seconds=0.25, worker="here:7", code="1.0+abc", torch="2.9")
FAILED = replace(DONE, verdict="failed", result=None, error="E: no", trace="Traceback\n  1\n", attempts=3)


@pytest.mark.parametrize("line", [DONE, FAILED])
def test_a_line_survives_its_text(line: Line) -> None:
    assert "\n" not in line.text()
    assert parse_line(line.text()) == line
    assert parse_line(line.text().encode() + b"\n") == line


def test_a_number_that_is_not_finite_is_null_with_its_reason() -> None:
    text = replace(DONE, result={"value": float("-inf")}).text()
    assert json.loads(text)["result"] == {"value": None, "value_reason": "-inf"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"key": "0" * 64}, "key is not that of its content"),
        ({"code": "1.1"}, "key is not that of its content"),
        ({"verdict": "maybe"}, "verdict is 'maybe'"),
        ({"cell": {"function": "json:dumps", "settings": {"obj": 4}}}, "key is not that of its content"),
        ({"cell": {"function": "json", "settings": {}}}, "no function of a cell"),
        ({"cell": None}, "not a cell"),
        ({"seconds": "soon"}, "incomplete"),
        ({"attempts": None}, "incomplete"),
    ],
)
def test_a_damaged_line_is_refused(change: dict[str, object], fault: str) -> None:
    with pytest.raises(LineError, match=fault):
        parse_line(json.dumps({**json.loads(DONE.text()), **change}))


@pytest.mark.parametrize("name", ["key", "verdict", "cell", "result", "seconds", "attempts"])
def test_a_line_without_a_field_is_refused(name: str) -> None:
    content = json.loads(DONE.text())
    del content[name]
    with pytest.raises(LineError):
        parse_line(json.dumps(content))


@pytest.mark.parametrize("text", [DONE.text()[:-9], "", "[]", "3", "{}", "\x00\x00", b"\xff\xfe", "[" * 100_000])
def test_what_is_no_line_is_refused(text: str | bytes) -> None:
    with pytest.raises(LineError):
        parse_line(text)


@pytest.mark.parametrize("schema", [0, 2, "1", True])
def test_another_schema_is_an_error_of_its_own(schema: object) -> None:
    assert issubclass(SchemaError, UsageError)
    with pytest.raises(SchemaError, match="reads schema 1; name another folder"):
        parse_line(json.dumps({**json.loads(DONE.text()), "schema": schema}))
