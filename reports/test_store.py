from pathlib import Path

import pytest

from fishergauge.reports.cell import Cell
from fishergauge.reports.store import Store

FIRST, SECOND = Cell("e4", "published", "synthetic", 0), Cell("e4", "published", "synthetic", 1)


def test_a_finished_cell_is_kept_for_its_device_alone(tmp_path: Path) -> None:
    record = Store(tmp_path).put(FIRST, "cpu", {"rows": [{"value": float("inf")}]})
    assert record == {"rows": [{"value": None, "value_reason": "inf"}]}
    again = Store(tmp_path)
    assert again.get(FIRST, "cpu") == record
    assert again.get(FIRST, "cuda") is None
    assert again.get(SECOND, "cpu") is None


@pytest.mark.parametrize("cut", [1, 20])
def test_a_half_written_last_line_is_dropped(tmp_path: Path, cut: int) -> None:
    store = Store(tmp_path)
    store.put(FIRST, "cpu", {"rows": [1]})
    store.put(SECOND, "cpu", {"rows": [2]})
    store.path.write_bytes(store.path.read_bytes()[:-cut])
    said: list[str] = []
    again = Store(tmp_path, said.append)
    assert again.get(FIRST, "cpu") == {"rows": [1]}
    assert again.get(SECOND, "cpu") is None
    assert "half-written" in said[0]
    again.put(SECOND, "cpu", {"rows": [3]})
    said.clear()
    assert Store(tmp_path, said.append).get(SECOND, "cpu") == {"rows": [3]}
    assert not said


def test_a_damaged_line_in_the_middle_is_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(FIRST, "cpu", {"rows": [1]})
    store.put(SECOND, "cpu", {"rows": [2]})
    store.path.write_bytes(b"{oops\n" + store.path.read_bytes())
    said: list[str] = []
    again = Store(tmp_path, said.append)
    assert (again.get(FIRST, "cpu"), again.get(SECOND, "cpu")) == ({"rows": [1]}, {"rows": [2]})
    assert "line 1 is damaged" in said[0]


def test_keys_differ_with_everything_that_determines_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        FIRST,
        SECOND,
        Cell("e3", "published", "synthetic", 0),
        Cell("e4", "corrected", "synthetic", 0),
        Cell("e4", "published", "digits", 0),
        Cell("e4", "published", "synthetic", 0, (("eta", 0.1),)),
        Cell("e4", "published", "synthetic", 0, (("eta", 0.2),)),
    ]
    assert len({cell.key for cell in cells}) == len(cells)
    pairs = (("a", 1), ("b", 2))
    assert Cell("e4", "published", "synthetic", 0, pairs).key == Cell("e4", "published", "synthetic", 0, pairs[::-1]).key
    before = FIRST.key
    monkeypatch.setattr("fishergauge.reports.cell.code_version", lambda: "other")
    assert FIRST.key != before
