"""The workflow for GitHub Actions, rehearsed: the comment comes whatever the result, and the job still fails."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fishergauge.reports.cli import parser
from fishergauge.reports.workflow_rehearsal import BASH, MARK, SUBJECT, run_github

pytestmark = pytest.mark.skipif(BASH is None, reason="the workflow is for bash, which is not here")
PULL = {
    "github.event_name": "pull_request",
    "github.repository": "me/mine",
    "github.event.pull_request.head.repo.full_name": "me/mine",
    "github.event.pull_request.number": "7",
    "github.token": "secret",
    "github.server_url": "https://example.org",
    "github.run_id": "12",
    "github.ref_name": "7/merge",
    "github.event.repository.default_branch": "main",
}
PUSH = {**PULL, "github.event_name": "push", "github.ref_name": "main"}
FORK = {**PULL, "github.event.pull_request.head.repo.full_name": "you/mine"}
COMMENT, SAVE = "Comment on the pull request", "Save it"


@pytest.fixture
def github(request: pytest.FixtureRequest) -> dict[str, Any]:
    path = request.config.rootpath / "docs" / "ci" / "github.yml"
    if not path.exists():
        pytest.skip("only in the repository: an installed package has no docs")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def called(folder: Path) -> Any:
    """How fishergauge was called, as its own parser reads it."""
    return parser().parse_args((folder / "called.txt").read_text(encoding="utf-8").splitlines())


def previous(folder: Path) -> None:
    (folder / "previous").mkdir()
    (folder / "previous" / "report.json").write_text('{"old": true}')


@pytest.mark.parametrize("code", [0, 1])
def test_a_pull_request_is_commented_whatever_the_result(code: int, github: dict[str, Any], tmp_path: Path) -> None:
    previous(tmp_path)
    outcome = run_github(github, tmp_path, PULL, CODE=str(code), REPORT="# Report\n")
    assert outcome.failed == (["Report"] if code else [])
    assert COMMENT in outcome.done
    assert "Upload the page" in outcome.done
    assert SAVE not in outcome.done
    sent = (tmp_path / "sent.md").read_text()
    assert sent == f"{MARK}\n[The page, with all details](https://example.org/me/mine/actions/runs/12)\n\n# Report\n"
    assert (tmp_path / "summary.md").read_text() == sent
    assert "--method POST repos/me/mine/issues/7/comments" in (tmp_path / "asked.txt").read_text()
    options = called(tmp_path)
    assert (options.command, options.subject, options.out, options.compare) == (
        "report",
        [SUBJECT],
        Path("report"),
        Path("previous"),
    )
    assert (tmp_path / "installed.txt").read_text() == "-m pip install .[test]\n"


def test_a_comment_that_is_there_is_replaced(github: dict[str, Any], tmp_path: Path) -> None:
    run_github(github, tmp_path, PULL, CODE="0", REPORT="new\n", KNOWN="345\n678\n")
    asked = (tmp_path / "asked.txt").read_text().splitlines()
    assert asked[-1].startswith("api --silent --method PATCH repos/me/mine/issues/comments/345 ")


def test_the_filter_finds_our_own_comment(github: dict[str, Any], tmp_path: Path) -> None:
    if (jq := shutil.which("jq")) is None:
        pytest.skip("jq is not here")
    run_github(github, tmp_path, PULL, CODE="0", REPORT="new\n")
    (query,) = re.findall(r"--jq (.*)", (tmp_path / "asked.txt").read_text())
    comments = [
        {"id": 1, "user": {"type": "User"}, "body": f"{MARK} pretended"},
        {"id": 2, "user": {"type": "Bot"}, "body": f"of another workflow {MARK}"},
        {"id": 3, "user": {"type": "Bot"}, "body": f"{MARK}\n# Report"},
    ]
    found = subprocess.run([jq, query], input=json.dumps(comments), text=True, capture_output=True, check=True)
    assert found.stdout == "3\n"


def test_a_pull_request_from_a_fork_has_a_summary_and_no_comment(github: dict[str, Any], tmp_path: Path) -> None:
    outcome = run_github(github, tmp_path, FORK, CODE="0", REPORT="# Report\n")
    assert outcome.failed == []
    assert COMMENT not in outcome.done
    assert "# Report" in (tmp_path / "summary.md").read_text()
    assert not (tmp_path / "asked.txt").exists()


def test_a_comment_that_is_refused_does_not_fail_the_job(github: dict[str, Any], tmp_path: Path) -> None:
    outcome = run_github(github, tmp_path, PULL, CODE="0", REPORT="# Report\n", REFUSED="yes")
    assert (outcome.failed, COMMENT in outcome.done) == ([], True)


@pytest.mark.parametrize("code", [0, 1])
def test_a_push_keeps_its_report_for_the_next_one(code: int, github: dict[str, Any], tmp_path: Path) -> None:
    previous(tmp_path)
    outcome = run_github(github, tmp_path, PUSH, CODE=str(code), REPORT="# Report\n")
    assert (outcome.saved, COMMENT in outcome.done) == ('{"new": true}\n', False)
    assert (tmp_path / "previous" / "conformance" / "records.jsonl").exists()
    assert outcome.failed == (["Report"] if code else [])


def test_a_branch_of_a_pull_request_is_not_kept_whatever_its_name(github: dict[str, Any], tmp_path: Path) -> None:
    outcome = run_github(github, tmp_path, {**PULL, "github.ref_name": "main"}, CODE="0", REPORT="# Report\n")
    assert SAVE not in outcome.done


def test_the_first_run_compares_with_nothing(github: dict[str, Any], tmp_path: Path) -> None:
    run_github(github, tmp_path, PUSH, CODE="0", REPORT="# Report\n")
    assert called(tmp_path).compare is None


def test_without_a_report_the_comment_says_so_and_nothing_is_kept(github: dict[str, Any], tmp_path: Path) -> None:
    outcome = run_github(github, tmp_path, PULL, CODE="2", REPORT="")
    assert outcome.failed == ["Report"]
    assert (
        "fishergauge wrote no report; [the log](https://example.org/me/mine/actions/runs/12)"
        in (tmp_path / "sent.md").read_text()
    )
    (tmp_path / "push").mkdir()
    assert SAVE not in run_github(github, tmp_path / "push", PUSH, CODE="2", REPORT="").done


def test_a_long_report_is_cut_between_lines(github: dict[str, Any], tmp_path: Path) -> None:
    report = "".join(f"line {number} of a long report ✓\n" for number in range(4000))
    run_github(github, tmp_path, PULL, CODE="0", REPORT=report)
    lines = (tmp_path / "sent.md").read_text(encoding="utf-8").splitlines()
    assert sum(len(line) + 1 for line in lines) < 65_536
    assert lines[-2:] == ["", "(The rest is in the page.)"]
    assert all(re.fullmatch(r"line \d+ of a long report ✓", line) for line in lines[3:-2])
    assert len(lines) > 1000


def test_another_order_of_steps_would_be_seen(github: dict[str, Any], tmp_path: Path) -> None:
    steps = github["jobs"]["report"]["steps"]
    for step in steps:
        if step.get("name") == COMMENT:
            del step["if"]
    outcome = run_github(github, tmp_path, PULL, CODE="1", REPORT="# Report\n")
    assert COMMENT not in outcome.done
