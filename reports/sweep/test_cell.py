import math
from typing import Any

import numpy as np
import pytest
import torch

from fishergauge.reports.code_version import code_version
from fishergauge.reports.sweep.cell import CellError, SweepCell, cell_from, key_of, make_cell

FUNCTION = "fishergauge.reports.sweep.rehearsal:echo"


def test_the_key_is_of_the_content_and_of_nothing_else() -> None:
    cell = make_cell(FUNCTION, value=1, name="a")
    assert cell.key == key_of(FUNCTION, {"name": "a", "value": 1}, code_version(), str(torch.__version__))
    assert make_cell(FUNCTION, label="other", alone="cpu", group="g", name="a", value=1).key == cell.key
    others = [
        make_cell(FUNCTION, value=2, name="a"),
        make_cell(FUNCTION, value=1.0, name="a"),
        make_cell(FUNCTION, value=True, name="a"),
        make_cell(FUNCTION, value="1", name="a"),
        make_cell(FUNCTION, value=1),
        make_cell(FUNCTION + "s", value=1, name="a"),
    ]
    assert len({cell.key, *(other.key for other in others)}) == 7
    versions = [key_of(FUNCTION, {}, code, version) for code in ("1", "2") for version in ("1", "2")]
    assert len(set(versions)) == 4


@pytest.mark.parametrize(
    "cell", [make_cell(FUNCTION), make_cell(FUNCTION, "l", "cuda", "g", a=1, b=None, c=True, d=0.1, e="x")]
)
def test_a_cell_survives_its_dictionary(cell: SweepCell) -> None:
    back = cell_from(cell.as_dict())
    assert back == cell
    assert [type(value) for _, value in back.settings] == [type(value) for _, value in cell.settings]


@pytest.mark.parametrize(
    "value", [torch.zeros(1), [1], (1,), {"a": 1}, b"x", np.float64(1.0), np.int64(1), object(), 1j, math.nan, math.inf]
)
def test_a_setting_is_a_text_or_a_number(value: Any) -> None:
    with pytest.raises(CellError, match=r"the setting data of the cell is .*(a number|as a text)"):
        make_cell(FUNCTION, label="the cell", data=value)


@pytest.mark.parametrize("function", ["json", "json.dumps", "a b:c", ":c", "a:", "a:b:c", "1a:b", len])
def test_a_function_is_given_by_name(function: Any) -> None:
    with pytest.raises(CellError, match=r"as package\.module:function"):
        make_cell(function)


@pytest.mark.parametrize("settings", [(("b", 1), ("a", 1)), (("a", 1), ("a", 2))])
def test_settings_are_sorted_and_of_one_value_each(settings: Any) -> None:
    with pytest.raises(CellError, match="use make_cell"):
        SweepCell(FUNCTION, settings)


def test_what_is_no_cell_or_no_device_is_refused() -> None:
    with pytest.raises(CellError, match="needs 'gpu' for itself"):
        make_cell(FUNCTION, alone="gpu")
    for content in ({}, {"function": FUNCTION}, {"function": FUNCTION, "settings": [1]}):
        with pytest.raises(CellError, match="not a cell"):
            cell_from(content)


def test_a_cell_says_what_it_is() -> None:
    assert str(make_cell(FUNCTION, label="one", value=1)) == "one"
    assert str(make_cell(FUNCTION, value="x")) == f"{FUNCTION}(value='x')"
