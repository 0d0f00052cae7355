"""The page on experiments names every experiment in the words of the command line."""

import re

import pytest

from fishergauge.reports.targets import COURSE, GAUSS_NEWTON, PAPER, TARGETS


@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    file = request.config.rootpath / "docs" / "experiments.md"
    if not file.exists():
        pytest.skip("only in the repository: an installed package has no docs/experiments.md")
    return file.read_text(encoding="utf-8")


def _rows(page: str) -> dict[str, str]:
    """Name and question of each row of the tables of experiments."""
    sections = [section for section in page.split("\n## ")[1:] if section.startswith("Experiments")]
    return dict(re.findall(r"^\| ([a-z][\w-]*) \| ([^|]+?) \|", "\n".join(sections), flags=re.MULTILINE) or [("", "")])


def test_the_page_has_every_experiment_under_its_source(page: str) -> None:
    rows = {name: what for name, what in _rows(page).items() if name != "name"}
    assert rows == dict(TARGETS)
    for group, heading in ((PAPER, "of the paper"), (GAUSS_NEWTON, "Gauss-Newton"), (COURSE, "of a course")):
        (section,) = [part for part in page.split("\n## ")[1:] if heading in part.splitlines()[0]]
        assert [name for name in _rows("\n## " + section) if name != "name"] == list(group)


def test_an_experiment_that_is_missing_would_be_seen(page: str) -> None:
    assert _rows(page.replace("| policy |", "| police |")) != _rows(page)
