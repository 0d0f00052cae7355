"""The file of the known red cells."""

from pathlib import Path

import pytest

from fishergauge.suites.peers.expected_cells import ExpectedCell, read_expected, write_expected
from fishergauge.suites.peers.ledger import LedgerError

CELLS = [
    ExpectedCell("lib/b", "T1", "mlp", "float64", "violated", "lib_scale"),
    ExpectedCell("lib/a", "T1", "cnn", "float64", "violated", "lib_scale"),
    ExpectedCell("lib/a", "T1", "mlp", "float64", "violated", "lib_scale"),
    ExpectedCell("lib/a", "T1", "mlp", "float32", "error", "lib_crash"),
    ExpectedCell("other/a", "T2", "mlp", "float64", "violated", "other_labels"),
]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    paths = write_expected(CELLS, tmp_path)
    assert [path.name for path in paths] == ["lib.csv", "other.csv"]
    assert set(read_expected(tmp_path)) == set(CELLS)


def test_the_order_of_the_cells_does_not_show_in_the_file(tmp_path: Path) -> None:
    write_expected(CELLS, tmp_path)
    first = (tmp_path / "lib.csv").read_bytes()
    write_expected(CELLS[::-1], tmp_path)
    assert (tmp_path / "lib.csv").read_bytes() == first
    assert first.splitlines()[2] == b"lib/a,T1,float64,violated,lib_scale,cnn mlp"


def test_the_file_of_a_library_without_red_cells_goes(tmp_path: Path) -> None:
    write_expected(CELLS, tmp_path)
    write_expected([cell for cell in CELLS if cell.subject != "other/a"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lib.csv"]


def test_a_cell_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    (path,) = write_expected(CELLS[:1], tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + "lib/b,T1,float64,error,lib_crash,mlp\n", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"lib\.csv, line 3: T1 of lib/b on mlp is there twice"):
        read_expected(tmp_path)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lib.csv").write_text("subject,claim\nlib/a,T1\n", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"lib\.csv: the columns are subject,claim,dtype.*--update"):
        read_expected(tmp_path)
