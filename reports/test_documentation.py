"""What the pages of the documentation show is what happens: every fenced block is executed or checked."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishergauge.reports.fenced_blocks import command_lines, fenced, file_name
from fishergauge.reports.page_commands import OPTIONS, NotRun
from fishergauge.reports.page_execution import Page, copy_examples, forget_subjects, run_command

ELSEWHERE = {"test_conformance.py": "test_peers_page"}


def _pages(root: Path) -> list[Path]:
    if not (root / "docs").is_dir():
        return []
    pages = sorted(file for file in (root / "docs").rglob("*.md") if "repository" not in file.parts)
    return [root / "README.md", *pages]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case for each page of the repository."""
    if "page" in metafunc.fixturenames:
        root = metafunc.config.rootpath
        pages = [pytest.param(page, id=page.relative_to(root).as_posix()) for page in _pages(root)]
        absent = pytest.param(None, id="none", marks=pytest.mark.skip("an installed package has no docs"))
        metafunc.parametrize("page", pages or [absent])


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the examples, and the current one."""
    copy_examples(request.config.rootpath, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    forget_subjects()


def test_every_block_of_a_page_does_what_it_says(page: Path, folder: Path) -> None:
    assert "\n".join(Page(page.read_text(encoding="utf-8"), OPTIONS, ELSEWHERE).run()) == ""


def test_the_tutorial_ends_with_the_example(request: pytest.FixtureRequest, folder: Path) -> None:
    page = request.config.rootpath / "docs" / "tutorial.md"
    if not page.exists():
        pytest.skip("an installed package has no docs")
    tutorial = Page(page.read_text(encoding="utf-8"), {})
    tutorial.blocks = [block for block in tutorial.blocks if block.language == "diff" or file_name(block.text) == "kfac.py"]
    assert tutorial.run() == []
    written = Path("kfac.py").read_text(encoding="utf-8").partition("\n")[2]
    assert written == Path("examples", "tutorial_kfac.py").read_text(encoding="utf-8").partition("\n\n")[2]


def test_every_option_is_for_a_command_that_there_is(request: pytest.FixtureRequest) -> None:
    pages = _pages(request.config.rootpath)
    if not pages:
        pytest.skip("an installed package has no docs")
    blocks = [block for page in pages for block in fenced(page.read_text(encoding="utf-8")) if block.language == "sh"]
    assert set(OPTIONS) - {line for block in blocks for line in command_lines(block.text)} == set()
    assert all(reason.strip() for reason in OPTIONS.values())


COUNT = "```sh\nfishergauge claims\n```\n\n```text\n{}\n```\n"
PATCH = "```python\n# new.py\none = 1\ntwo = 2\n```\n\n```diff\n+++ new.py\n-{}\n+two = 3\n```\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```python\n>>> 1 + 1\n2\n```\n", ""),
        ("```python\n>>> 1 + 1\n3\n```\n", "Got:"),
        ("```python\nx = 1\n```\n\n```python\n>>> x\n1\n```\n", ""),
        ("```python\n>>> x = 1\n```\n\n```python\n>>> x\n1\n```\n", ""),
        ("```python\nx = nothing\n```\n", "NameError"),
        ("```python\nimport curvlinops_that_nobody_has\n```\n", "ModuleNotFoundError"),
        ("```python\n# new.py\ndef f(:\n```\n", "SyntaxError"),
        ("```python\n# new.py\ndef f(:\n```\n\n```sh\n# a command with new.py\n```\n", "SyntaxError"),
        ("```sh\nfishergauge explain T4\n```\n", ""),
        ("```sh\nfishergauge explain \\\n    T4\n```\n", ""),
        ("```sh\nfishergauge explain T4711\n```\n", "exit code 2, not 0"),
        ("```sh\nfishergauge explain \\\n    T4711\n```\n", "exit code 2, not 0"),
        ("```sh\nls\n```\n", "ls is not run"),
        (COUNT.format("...\nT4 bias-block-exact\n..."), ""),
        (COUNT.format("...\nT4 bias-block-wrong\n..."), "T4 bias-block-wrong"),
        (COUNT.format("...\nT5 last-layer-exact\n...\nT4 bias-block-exact\n..."), "T4 bias-block-exact"),
        (COUNT.format("...\nT4 bias-block-exact\nT5 last-layer-exact\n..."), "T4 bias-block-exact"),
        ("```text\nof no command\n```\n", "an output follows"),
        ("```toml\na = 1\n```\n", ""),
        ("```toml\na = \n```\n", "TOMLDecodeError"),
        ("```json\n{1}\n```\n", "JSONDecodeError"),
        ("```yaml\na: [1\n```\n", "ParserError"),
        (PATCH.format("two = 2"), ""),
        (PATCH.format("two = 4"), "stand 0 times"),
    ],
)
def test_what_is_wrong_on_a_page_is_seen(text: str, fault: str, folder: Path) -> None:
    found = Page(f"# A page\n\n{text}", {}).run()
    assert bool(found) == bool(fault)
    assert fault in "\n".join(found)
    assert all(re.match(r"line \d+: ", line) for line in found)


@pytest.mark.parametrize("fence", ["", "bash", "pytohn", "python title"])
def test_a_block_that_nothing_checks_is_refused(fence: str) -> None:
    with pytest.raises(ValueError, match="line 3: a block is one of"):
        fenced(f"# A page\n\n```{fence}\nx\n```\n")


def test_directives_of_the_site_are_no_blocks() -> None:
    assert fenced("```{toctree}\ntutorial\n```\n") == []


def test_a_command_that_is_not_run_is_not_run(folder: Path) -> None:
    assert Page("```sh\nls\n```\n", {"ls": NotRun("for a reason")}).run() == []


def test_the_code_of_a_command_is_that_of_its_output(folder: Path) -> None:
    check = "fishergauge check examples/my_kfac.py:mistaken --problems mlp-tanh-gaussian --claims T4 -j 1"
    shown = "```sh\n{}\n```\n\n```text\n...\n1 check: 1 violated; 1.0 s\n```\n"
    assert Page(shown.format(check), {}).run() == []
    (fault, *_) = Page(shown.format(f"{check}\n{check}"), {}).run()
    assert "exit code 1, not 0" in fault  # only the last of several commands may end as shown
    right = check.replace("mistaken", "subject")
    (fault, *_) = Page(shown.format(right), {}).run()
    assert "exit code 0, not 1" in fault
    assert run_command("fishergauge --help") == 0
