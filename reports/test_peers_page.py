"""The page on libraries names statuses, libraries and options as the code has them, and its example is one that holds."""

import argparse
import re
from pathlib import Path

import pytest

from fishergauge.reports import peers_command
from fishergauge.suites import check
from fishergauge.suites.loading import load_subject
from fishergauge.suites.peers.judgement import STATUSES
from fishergauge.suites.peers.ledger import FINDINGS
from fishergauge.suites.peers.registry import peers


@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    file = request.config.rootpath / "docs" / "peers.md"
    if not file.exists():
        pytest.skip("only in the repository: an installed package has no docs/peers.md")
    return file.read_text(encoding="utf-8")


def statuses(page: str) -> dict[str, str]:
    """The rows of the table of statuses."""
    block = page.partition("| status | meaning |\n| --- | --- |\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| ([\w-]+) \| (.+?) \|$", block, flags=re.MULTILINE))


def options() -> set[str]:
    """The long options of the command."""
    root = argparse.ArgumentParser()
    commands = root.add_subparsers()
    peers_command.add_parser(commands)
    return set(re.findall(r"(--[a-z][a-z-]*)", commands.choices["peers"].format_help()))


def test_the_statuses_are_those_of_the_code(page: str) -> None:
    assert statuses(page) == dict(STATUSES)
    assert statuses(page.replace("| vanished |", "| lost |")) != dict(STATUSES)


def test_every_library_is_named_and_every_command_has_options_that_there_are(page: str) -> None:
    for library in {peer.library for peer in peers()}:
        assert library.casefold() in page.casefold(), library
    named = {
        option for line in re.findall(r"^fishergauge peers.*$", page, re.MULTILINE) for option in re.findall(r"--[a-z-]+", line)
    }
    assert named
    assert named <= options()


def test_the_files_that_it_names_are_there(page: str, request: pytest.FixtureRequest) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page):
        if not link.startswith("http"):
            assert (request.config.rootpath / "docs" / link).exists(), link
    assert (FINDINGS / "README.md").exists()


def test_the_ten_lines_for_maintainers_are_ten_and_hold(page: str, tmp_path: Path) -> None:
    pytest.importorskip("curvlinops")
    (block,) = re.findall(r"^```python\n(# test_conformance\.py\n.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in block.splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 10
    file = tmp_path / "conformance_of_curvlinops.py"
    file.write_text(
        block + "\nfrom fishergauge.suites import Subject as S\nsubject = S('ggn', ggn, target='ggn')\n", encoding="utf-8"
    )
    report = check(load_subject(f"{file}:subject"), problems="mlp-tanh-softmax,softmax-regression", claims="T1,T2,T26-psd")
    assert report.counts == {"holds": 6}
