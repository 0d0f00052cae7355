"""What the README, the manual and the page on conformance say is what the code has: tables, files, numbers."""

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from fishergauge.reference import FAMILIES
from fishergauge.reports.cli import main
from fishergauge.reports.fenced_blocks import blocks, comparable, file_name
from fishergauge.reports.list_commands import scope
from fishergauge.reports.page_execution import copy_examples, forget_subjects, run_command
from fishergauge.suites.claim import STRUCTURES
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.peers.ledger import FINDINGS, read_ledger
from fishergauge.suites.record import SCHEMA, VERDICTS, Record
from fishergauge.suites.spectrum.groups import GROUPS
from fishergauge.suites.subject import Sharing, Subject
from fishergauge.suites.tags import TAGS
from fishergauge.suites.wording import title

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _text(config: pytest.Config, *path: str) -> str:
    file = config.rootpath.joinpath(*path)
    if not file.exists():
        pytest.skip(f"only in the repository: an installed package has no {'/'.join(path)}")
    return file.read_text(encoding="utf-8")


@pytest.fixture
def readme(request: pytest.FixtureRequest) -> str:
    return _text(request.config, "README.md")


@pytest.fixture
def manual(request: pytest.FixtureRequest) -> str:
    return _text(request.config, "docs", "checking.md")


@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    return _text(request.config, "docs", "conformance.md")


@pytest.fixture
def spectrum(request: pytest.FixtureRequest) -> str:
    return _text(request.config, "docs", "spectrum.md")


@pytest.fixture
def folder(manual: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the examples, and the Python files that the manual prints; the current one."""
    copy_examples(request.config.rootpath, tmp_path)
    for block in blocks(manual, "python"):
        if name := file_name(block):
            (tmp_path / name).write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    forget_subjects()


def _rows(text: str) -> list[list[str]]:
    """The cells of all rows of tables."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]


def test_the_first_two_commands_are_the_report_and_the_tests(readme: str) -> None:
    first, second = blocks(readme, "sh")[:2]
    assert first.strip().endswith("tox run -e report")
    assert second.strip().endswith("tox run -e cpu")


def test_the_three_defects_are_those_of_the_ledger(readme: str) -> None:
    known = {finding.id: finding for finding in read_ledger(FINDINGS)}
    shown = [(cells, named[1]) for cells in _rows(readme) if (named := re.search(r"findings/(\w+)\.py", cells[0]))]
    assert len(shown) == 3
    for cells, name in shown:
        finding = known[name]
        assert cells[1:3] == [finding.expected, finding.found]
        assert f"{finding.library} {finding.version}" in cells[0]
    assert f"{len(known)}\n[findings" in readme


def test_nine_lines_are_a_subject(readme: str) -> None:
    (block,) = blocks(readme, "python")
    assert len([line for line in block.splitlines() if line and not line.startswith("#")]) == 9


def test_a_test_file_of_ones_own_runs_and_the_mistake_would_fail_it(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "examples" / "my_kfac.py", folder)
    right = (folder / "test_curvature.py").read_text()
    (folder / "test_mistaken.py").write_text(right.replace("import subject", "import mistaken as subject"))
    assert run_command("pytest test_curvature.py test_mistaken.py", "-k 'T4 or T26-form' -rf") == 1
    out = capfd.readouterr().out
    failed = re.findall(r"^FAILED (\S+?)::test_my_kfac", out, flags=re.MULTILINE)
    assert set(failed) == {"test_mistaken.py"}
    assert re.search(r"^my-kfac: \d+ checks: \d+ holds, \d+ unsupported; ", out, flags=re.MULTILINE)


def test_the_expected_failures_of_the_manual_excuse(manual: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (table,) = blocks(manual, "toml")
    assert set(tomllib.loads(table)) == {"expected"}
    (folder / "fishergauge.toml").write_text(table)
    assert main(["check", "examples/my_kfac.py:mistaken", "--claims", "T4", "--problems", "mlp-*", "-j", "1"]) == 0
    assert " expected, " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("right", ["16 holds", "= 1/14", "0.bias", "P1 ", "T5 last"])
def test_another_output_would_be_seen(right: str, readme: str) -> None:
    (shown,) = blocks(readme, "text")
    assert right in shown
    assert comparable("0.929      bound 3.33e-14; 3.7 s") == comparable("0.93 bound 1e-13; 12.1 s")
    line = next(line for line in shown.splitlines() if right in line)
    assert comparable(line) != comparable(line.replace(right, "13 other"))


def test_the_workflow_in_the_manual_is_the_one_in_docs(manual: str, request: pytest.FixtureRequest) -> None:
    assert blocks(manual, "yaml") == [_text(request.config, "docs", "conformance.yml")]


def test_the_files_that_readme_and_page_name_exist(readme: str, page: str, request: pytest.FixtureRequest) -> None:
    root = request.config.rootpath
    links = [root / link for link in re.findall(r"\]\(([^)#]+)\)", readme)]
    links += [root / "docs" / link for link in re.findall(r"\]\(([^)#]+)\)", page)]
    assert len(links) >= 6
    assert [link for link in links if not link.exists()] == []


def test_the_commands_that_are_named_exist(readme: str, manual: str) -> None:
    named = sorted(set(re.findall(r"`fishergauge ([a-z]\w*)", readme + manual)))
    assert {"claims", "explain", "problems", "subjects", "selftest", "accuracy", "peers"} <= set(named)
    assert {name: run_command(f"fishergauge {name} --help", "") for name in named} == dict.fromkeys(named, 0)


def test_all_verdicts_and_fields_are_named(readme: str, manual: str) -> None:
    first = {word for cells in _rows(readme + manual) for word in re.findall(r"`([\w-]+)`", cells[0])}
    assert set(VERDICTS) <= first
    assert {item.name for item in fields(Subject)} <= first


def _implied(structure: str, sharing: str) -> set[str]:
    subject = Subject("mine", lambda problem: problem, structure=structure, sharing=sharing)  # type: ignore[arg-type]
    return {c.id for c in CLAIMS.values() if c.made_by(subject) and not c.id.startswith("T26") and c.id != "T2"}


def test_the_manual_says_which_claims_a_structure_implies(manual: str) -> None:
    said = {cells[0].strip("`"): set(re.findall(r"\b[TS]\d[\w-]*", cells[2])) for cells in _rows(manual) if len(cells) == 3}
    for structure in STRUCTURES:
        assert said[structure] == set().union(*(_implied(structure, sharing) for sharing in get_args(Sharing))), structure


def test_the_page_has_all_claims_tags_and_fields_of_a_record(page: str) -> None:
    rows = [f"| {title(c.id, CLAIMS)} | {c.statement} | {scope(c.scope)} | {c.source} |" for c in CLAIMS.values()]
    rows += [f"| `{tag}` | {meaning} |" for tag, meaning in TAGS.items()]
    lines = page.splitlines()
    assert "\n".join(row for row in rows if row not in lines) == "", "put these rows into docs/conformance.md"
    ids = [cells[0].split()[0] for cells in _rows(page) if len(cells) == 4 and re.match(r"[A-Z]+\d|MC-", cells[0])]
    assert sorted(ids) == sorted(CLAIMS)
    named = [name for cells in _rows(page) for name in re.findall(r"`(\w+)`", cells[0])]
    assert set(Record("mine", "T4", "mlp").as_dict()) <= set(named)
    assert f"schema {SCHEMA}" in page


def _first_cells(text: str, heading: str) -> list[str]:
    """The names in the first column of the table under a heading."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [name.strip("` ") for row in _rows(section)[2:] for name in row[0].split(",")]


@pytest.mark.parametrize(("heading", "known"), [("Families of maps", FAMILIES), ("Predictions", GROUPS)])
def test_the_page_on_the_spectrum_has_every_family_and_group(heading: str, known: Mapping[str, object], spectrum: str) -> None:
    assert _first_cells(spectrum, heading) == list(known)
    assert _first_cells(spectrum.replace("| orthogonal |", "| orthodox |").replace("`orthogonal`", "o"), heading) != list(known)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_has_a_condition_number_is_said(name: str, spectrum: str) -> None:
    section = spectrum.split("## Families of maps\n")[1].split("\n## ")[0]
    (row,) = [row for row in _rows(section) if name in [part.strip() for part in row[0].split(",")]]
    assert (row[2] == "yes") == FAMILIES[name].conditioned
