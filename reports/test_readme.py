"""What the README and the page on conformance say is what happens: commands, files, output, tables."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from fishergauge.reference import FAMILIES
from fishergauge.reports.cli import main
from fishergauge.reports.list_commands import scope
from fishergauge.suites.claim import STRUCTURES
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.record import SCHEMA, VERDICTS, Record
from fishergauge.suites.spectrum.groups import GROUPS
from fishergauge.suites.subject import Sharing, Subject
from fishergauge.suites.tags import TAGS
from fishergauge.suites.wording import title

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The commands of the README, with options that make them short. None: run by continuous integration, not here.
FEW = "--claims T4 -j 1"
GGN = "--tasks ggn/diagonal"
TINY = "--sizes small --tasks 'kfac-separate/d*'"
KFAC = "fishergauge check examples/my_kfac.py:subject"
COMMANDS = {
    "pip install .": None,
    "pytest --pyargs fishergauge.suites": None,
    "fishergauge reproduce all --quick": None,
    "fishergauge reproduce e1 e4 --data wine breast-cancer --seeds 5 --out results": "--jobs 1",
    "fishergauge reproduce posterior jacobian --quick": "--jobs 1",
    "fishergauge reproduce --help": "",
    "fishergauge check my_ggn.py:subject": "--problems mlp-tanh-*,recurrent,masked-labels -j 1",
    f"{KFAC} --quick": "-j 1",
    "fishergauge check examples/my_kfac.py:mistaken --problems mlp-tanh-gaussian": "-j 1",
    f"{KFAC} --quick --json records.jsonl --junit conformance.xml": FEW,
    "pytest --pyargs fishergauge.suites --subject examples/my_kfac.py:subject --fisher-quick": "-k 'T4 or T26-form'",
    "fishergauge accept examples/my_kfac.py:mistaken --claims T4": "-j 1",
    f"{KFAC} --problem-file examples/my_problems.py --problems skip-connection": "-j 1",
    f"{KFAC} --json conformance.jsonl": FEW,
    f"{KFAC} --json new.jsonl --baseline conformance.jsonl": FEW,
    "fishergauge compare conformance.jsonl new.jsonl": "",
    "fishergauge spectrum": "--quick --models mlp --families permutation,affine --approximations kfac-joint,gradient -j 1",
    "fishergauge spectrum --quick --subject examples/my_kfac.py:subject": "--models mlp --families kronecker -j 1",
    "fishergauge spectrum --list": "",
    "pip install '.[peers]'": None,
    "fishergauge peers --only curvlinops --quick": None,
    "fishergauge peers --list": "",
    "fishergauge bench --quick --tasks 'ggn/*'": "--problems softmax-small --no-time --no-peers --implementations fishergauge",
    "fishergauge bench --subject examples/my_kfac.py:subject --problems 'mlp-*'": f"--no-time --no-peers {TINY}",
    "fishergauge bench --no-time --json baseline.jsonl": f"--no-peers --problems softmax-small {GGN}",
    "fishergauge bench --no-time --baseline baseline.jsonl": f"--no-peers --problems softmax-small {GGN}",
}
RED = {"fishergauge check examples/my_kfac.py:mistaken --problems mlp-tanh-gaussian": 1}


def _text(config: pytest.Config, *path: str) -> str:
    file = config.rootpath.joinpath(*path)
    if not file.exists():
        pytest.skip(f"only in the repository: an installed package has no {'/'.join(path)}")
    return file.read_text(encoding="utf-8")


@pytest.fixture
def readme(request: pytest.FixtureRequest) -> str:
    return _text(request.config, "README.md")


@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    return _text(request.config, "docs", "conformance.md")


@pytest.fixture
def spectrum(request: pytest.FixtureRequest) -> str:
    return _text(request.config, "docs", "spectrum.md")


@pytest.fixture
def folder(readme: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the examples, and the Python files that the README prints; the current one."""
    shutil.copytree(request.config.rootpath / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    for block in blocks(readme, "python"):
        named = re.match(r"# (\w+\.py)\n", block)
        if named:
            (tmp_path / named[1]).write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def _commands(readme: str) -> list[str]:
    """The lines of all shell blocks but the first two, which run everything."""
    return [line for block in blocks(readme, "sh")[2:] for line in block.splitlines()]


def _run(command: str, options: str) -> int:
    program, *arguments = shlex.split(f"{command} {options}")
    if program == "pytest":
        started = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], timeout=300)
        return started.returncode
    assert program == "fishergauge"
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def _rows(text: str) -> list[list[str]]:
    """The cells of all rows of tables."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]


def test_every_command_of_the_readme_is_known_here(readme: str) -> None:
    assert sorted(_commands(readme)) == sorted(COMMANDS)
    assert not re.search(r"^ {4}(fishergauge|pytest) ", readme, flags=re.MULTILINE), "put commands into shell blocks"


def test_the_commands_of_the_readme_run(readme: str, folder: Path) -> None:
    codes = {}
    for command in _commands(readme):
        options = COMMANDS[command]
        if options is not None:
            codes[command] = _run(command, options)
    assert {command: code for command, code in codes.items() if code} == RED
    assert (folder / "results" / "claims.md").exists()
    assert (folder / "conformance.xml").exists()
    assert 'reason = ""' in (folder / "fishergauge.toml").read_text()


def test_a_test_file_of_ones_own_runs_and_the_mistake_would_fail_it(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "examples" / "my_kfac.py", folder)
    right = (folder / "test_curvature.py").read_text()
    (folder / "test_mistaken.py").write_text(right.replace("import subject", "import mistaken as subject"))
    assert _run("pytest test_curvature.py test_mistaken.py", "-k 'T4 or T26-form' -rf") == 1
    out = capfd.readouterr().out
    failed = re.findall(r"^FAILED (\S+?)::test_my_kfac", out, flags=re.MULTILINE)
    assert set(failed) == {"test_mistaken.py"}
    assert re.search(r"^my-kfac: \d+ checks: \d+ holds, \d+ unsupported; ", out, flags=re.MULTILINE)


def test_the_expected_failures_of_the_readme_excuse(readme: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (table,) = blocks(readme, "toml")
    assert set(tomllib.loads(table)) == {"expected"}
    (folder / "fishergauge.toml").write_text(table)
    assert main(["check", "examples/my_kfac.py:mistaken", "--claims", "T4", "--problems", "mlp-*", "-j", "1"]) == 0
    assert " expected, " in capsys.readouterr().out.splitlines()[-1]


def comparable(line: str) -> str:
    """A line of output without what differs between machines: times, roundings, and the problem on which slack is largest."""
    line = re.sub(r"^(\S+ \S+ +\d[\d .]*?)  +\d+\.\d\d .*$", r"\1", line)
    line = re.sub(r"(?<![\w.])\d+(\.\d+)?(e-?\d+)?(?=\s|[;,)]|$)", lambda m: "#" if m[1] or m[2] else m[0], line)
    return " ".join(line.split())


def test_the_output_in_the_readme_is_that_of_the_command(readme: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = blocks(readme, "text")
    assert main(["check", "examples/my_kfac.py:mistaken", "--problems", "mlp-tanh-gaussian", "-j", "1"]) == 1
    real = iter([comparable(line) for line in capsys.readouterr().out.splitlines()])
    expected = [comparable(line) for line in shown.splitlines() if line and line != "..."]
    missing = [line for line in expected if line not in real]  # which moves on to the line, so that the order counts
    assert missing == []


@pytest.mark.parametrize("right", ["16 holds", "= 1/14", "0.bias", "P1 ", "T5 last"])
def test_another_output_would_be_seen(right: str, readme: str) -> None:
    (shown,) = blocks(readme, "text")
    assert right in shown
    assert comparable("0.929      bound 3.33e-14; 3.7 s") == comparable("0.93 bound 1e-13; 12.1 s")
    line = next(line for line in shown.splitlines() if right in line)
    assert comparable(line) != comparable(line.replace(right, "13 other"))


def test_the_workflow_in_the_readme_is_the_one_in_docs(readme: str, request: pytest.FixtureRequest) -> None:
    assert blocks(readme, "yaml") == [_text(request.config, "docs", "conformance.yml")]


def test_the_files_that_readme_and_page_name_exist(readme: str, page: str, request: pytest.FixtureRequest) -> None:
    root = request.config.rootpath
    links = [root / link for link in re.findall(r"\]\(([^)#]+)\)", readme)]
    links += [root / "docs" / link for link in re.findall(r"\]\(([^)#]+)\)", page)]
    assert len(links) >= 6
    assert [link for link in links if not link.exists()] == []


def test_the_commands_in_the_tables_exist(readme: str) -> None:
    named = [cells[0].strip("`").split()[1] for cells in _rows(readme) if cells[0].startswith("`fishergauge ")]
    assert {"claims", "explain", "problems", "subjects", "selftest"} <= set(named)
    assert {name: _run(f"fishergauge {name} --help", "") for name in named} == dict.fromkeys(named, 0)


def test_the_readme_names_all_verdicts_and_fields(readme: str) -> None:
    first = {word for cells in _rows(readme) for word in re.findall(r"`([\w-]+)`", cells[0])}
    assert set(VERDICTS) <= first
    assert {item.name for item in fields(Subject)} <= first


def _implied(structure: str, sharing: str) -> set[str]:
    subject = Subject("mine", lambda problem: problem, structure=structure, sharing=sharing)  # type: ignore[arg-type]
    return {c.id for c in CLAIMS.values() if c.made_by(subject) and not c.id.startswith("T26") and c.id != "T2"}


def test_the_readme_says_which_claims_a_structure_implies(readme: str) -> None:
    said = {cells[0].strip("`"): set(re.findall(r"\b[TS]\d[\w-]*", cells[2])) for cells in _rows(readme) if len(cells) == 3}
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
