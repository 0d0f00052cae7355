"""The README's own commands work as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from fishergauge.reports.cli import main


@pytest.fixture
def readme(request: pytest.FixtureRequest) -> str:
    path: Path = request.config.rootpath / "README.md"
    if not path.exists():
        pytest.skip("only in the repository: an installed package has no README.md")
    return path.read_text(encoding="utf-8")


def _commands(readme: str) -> list[list[str]]:
    """What an indented line of the README says after ``fishergauge``."""
    return [shlex.split(line)[1:] for line in re.findall(r"^    (fishergauge .*)$", readme, flags=re.MULTILINE)]


def test_the_commands_of_the_readme_run(readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = _commands(readme)
    assert len(commands) >= 3
    for command in commands:
        if "--help" in command:
            with pytest.raises(SystemExit) as stop:
                main(command)
            assert stop.value.code == 0
        elif command[1:] == ["all", "--quick"]:
            continue  # run by continuous integration
        else:
            assert main([*command, "--jobs", "1"]) == 0
            assert (tmp_path / "results" / "claims.md").exists()


def test_the_files_that_the_readme_names_exist(readme: str, request: pytest.FixtureRequest) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", readme)
    assert len(links) >= 3
    missing = [link for link in links if not (request.config.rootpath / link).exists()]
    assert not missing
