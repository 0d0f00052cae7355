"""How the ledger is read, and whether the one that is shipped is consistent in itself."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.peers.expected_cells import read_expected
from fishergauge.suites.peers.ledger import FINDINGS, LedgerError, LedgerFinding, explanation, read_ledger
from fishergauge.suites.peers.registry import peers
from fishergauge.suites.record import Record
from fishergauge.suites.zoo import CATALOGUE

GOOD = """
[[finding]]
id = "lib_scale"
library = "lib"
version = "1.0"
title = "the Fisher is doubled"
class = "defect"
where = "lib.py"
evidence = "It is added twice."
expected = "1"
found = "2"
[[finding.cells]]
subjects = ["lib/fisher*"]
claims = ["T1", "T26-*"]
problems = ["mlp-*"]
"""
LEDGER = read_ledger()
EXPECTED = read_expected()


def ledger_of(text: str, folder: Path) -> list[LedgerFinding]:
    (folder / "lib.toml").write_text(text, encoding="utf-8")
    return read_ledger(folder)


def test_a_finding_explains_the_cells_that_all_its_lists_match(tmp_path: Path) -> None:
    (finding,) = ledger_of(GOOD, tmp_path)
    assert (finding.kind, finding.found, finding.upstream) == ("defect", "2", "")
    assert finding.explains(Record("lib/fisher-mc", "T26-psd", "mlp-tanh", verdict="violated"))
    for other in (("other/fisher", "T1", "mlp-tanh"), ("lib/fisher", "T2", "mlp-tanh"), ("lib/fisher", "T1", "cnn")):
        assert not finding.explains(Record(*other, verdict="violated"))


def test_cells_may_be_of_one_verdict_and_one_precision(tmp_path: Path) -> None:
    (finding,) = ledger_of(GOOD + 'verdict = "error"\ndtypes = ["float32"]\n', tmp_path)
    found = [
        finding.explains(Record("lib/fisher", "T1", "mlp-tanh", dtype, verdict=verdict))
        for dtype in ("float64", "float32")
        for verdict in ("violated", "error")
    ]
    assert found == [False, False, False, True]


def test_the_first_finding_that_matches_explains(tmp_path: Path) -> None:
    second = GOOD.replace("lib_scale", "lib_other")
    ledger = ledger_of(GOOD + second, tmp_path)
    explained = explanation(Record("lib/fisher", "T1", "mlp-tanh", verdict="violated"), ledger)
    assert explained is not None
    assert explained.id == "lib_scale"
    assert explanation(Record("lib/fisher", "T1", "cnn", verdict="violated"), ledger) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('class = "defect"', 'class = "bug"', "class is one of defect, accepted-silently"),
        ('where = "lib.py"', "", "'where' is a text that is not empty, not None"),
        ('title = "the Fisher is doubled"', 'title = " "', "'title' is a text that is not empty"),
        ('found = "2"', "found = 2", "'found' is a text that is not empty, not 2"),
        ('version = "1.0"', 'version = "1.0"\nsince = "0.9"', "unknown key 'since'"),
        ('claims = ["T1", "T26-*"]', 'claims = "T1"', "'claims' of cells is a list of globs that is not empty"),
        ('problems = ["mlp-*"]', "problems = []", "'problems' of cells is a list of globs that is not empty"),
        ('problems = ["mlp-*"]', "", "'problems' of cells is a list of globs"),
        ('problems = ["mlp-*"]', 'problems = ["*"]\nseed = 1', "unknown key 'seed' of cells"),
        ('problems = ["mlp-*"]', 'problems = ["*"]\nverdict = "holds"', "the verdict of cells is violated or error"),
        ("[[finding]]", "[finding]", "not TOML|list of tables"),
        ("[[finding]]", "[[findings]]", "unknown key 'findings'|not TOML"),
        ('id = "lib_scale"', "id = lib_scale", "not TOML"),
    ],
)
def test_a_mistake_in_the_ledger_is_named(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(LedgerError, match=rf"lib\.toml.*({said})"):
        ledger_of(GOOD.replace(old, new), tmp_path)


def test_two_findings_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="'lib_scale' stands in the ledger twice"):
        ledger_of(GOOD + GOOD, tmp_path)


def test_every_finding_has_a_script_and_every_script_a_finding() -> None:
    scripts = {path.stem for path in FINDINGS.glob("*.py")} - {"__init__", "conftest"}
    assert scripts == {finding.id for finding in LEDGER}
    assert LEDGER


def test_findings_speak_of_libraries_subjects_claims_and_problems_that_there_are() -> None:
    every = peers()
    known = {
        "libraries": {peer.library for peer in every},
        "subjects": {peer.subject.name for peer in every},
        "claims": set(CLAIMS),
        "problems": set(CATALOGUE),
    }
    for finding in LEDGER:
        assert finding.library in known["libraries"], finding.id
        for cells in finding.cells:
            for what in ("subjects", "claims", "problems"):
                for pattern in getattr(cells, what):
                    assert any(fnmatchcase(name, pattern) for name in known[what]), (finding.id, what, pattern)


def test_every_known_cell_is_explained_by_the_finding_that_it_names() -> None:
    for cell in EXPECTED:
        record = Record(cell.subject, cell.claim, cell.problem, cell.dtype, verdict=cell.verdict)  # type: ignore[arg-type]
        explained = explanation(record, LEDGER)
        assert explained is not None, cell
        assert explained.id == cell.finding, cell


def test_a_finding_with_cells_is_met_somewhere() -> None:
    met = {cell.finding for cell in EXPECTED}
    assert [finding.id for finding in LEDGER if finding.cells and finding.id not in met] == []
