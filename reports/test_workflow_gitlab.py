"""The job for GitLab, rehearsed: its result is that of the report, and the note comes whatever it is."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fishergauge.reports.cli import parser
from fishergauge.reports.workflow_rehearsal import BASH, MARK, SUBJECT, run_gitlab

pytestmark = pytest.mark.skipif(BASH is None, reason="the job is for bash, which is not here")
MERGE = {"CI_MERGE_REQUEST_IID": "3", "FISHERGAUGE_TOKEN": "secret"}


@pytest.fixture
def gitlab(request: pytest.FixtureRequest) -> dict[str, Any]:
    path = request.config.rootpath / "docs" / "ci" / "gitlab.yml"
    if not path.exists():
        pytest.skip("only in the repository: an installed package has no docs")
    job: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["fishergauge"]
    return job


def called(folder: Path) -> Any:
    """How fishergauge was called, as its own parser reads it."""
    return parser().parse_args((folder / "called.txt").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_merge_request_is_commented_and_the_job_has_the_result(code: int, gitlab: dict[str, Any], tmp_path: Path) -> None:
    assert run_gitlab(gitlab, tmp_path, CODE=str(code), REPORT="# Report\n", PREVIOUS="yes", **MERGE) == code
    options = called(tmp_path)
    assert (options.subject, options.out, options.compare) == ([SUBJECT], Path("report"), Path("previous"))
    asked = (tmp_path / "asked.txt").read_text().splitlines()
    if code < 2:
        assert asked[-1].endswith(
            "--request POST --form body=<comment.md https://example.org/api/v4/projects/5/merge_requests/3/notes"
        )
        page = "https://example.org/jobs/9/artifacts/file/report/index.html"
        assert (tmp_path / "sent.md").read_text() == f"{MARK}\n[The page, with all details]({page})\n\n# Report\n"
    else:
        assert not (tmp_path / "sent.md").exists()
    assert "jobs/artifacts/main/raw/report/report.json?job=fishergauge" in asked[0]


def test_a_note_that_is_there_is_replaced(gitlab: dict[str, Any], tmp_path: Path) -> None:
    notes = json.dumps(
        [{"id": 8, "body": "a person's"}, {"id": 9, "body": f"{MARK}\nold"}, {"id": 10, "body": f"{MARK}\nolder"}]
    )
    run_gitlab(gitlab, tmp_path, CODE="0", REPORT="new\n", NOTES=notes, **MERGE)
    assert (tmp_path / "asked.txt").read_text().splitlines()[-1].endswith("/merge_requests/3/notes/9")


@pytest.mark.parametrize("absent", ["CI_MERGE_REQUEST_IID", "FISHERGAUGE_TOKEN"])
def test_without_token_or_merge_request_there_is_no_note(absent: str, gitlab: dict[str, Any], tmp_path: Path) -> None:
    given = {name: text for name, text in MERGE.items() if name != absent}
    assert run_gitlab(gitlab, tmp_path, CODE="1", REPORT="# Report\n", **given) == 1
    assert not (tmp_path / "sent.md").exists()
    asked = (tmp_path / "asked.txt").read_text().splitlines()
    assert len(asked) == 3
    assert all(("Bearer secret" in line) == (absent != "FISHERGAUGE_TOKEN") for line in asked)
    assert called(tmp_path).compare is None


def test_the_page_is_kept_whatever_the_result(gitlab: dict[str, Any]) -> None:
    assert (gitlab["artifacts"]["when"], gitlab["artifacts"]["paths"]) == ("always", ["report/"])
