"""The workflow for GitHub Actions that users copy is eight lines of sound syntax."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

USES = re.compile(r"[\w.-]+/[\w./-]+@[\w.-]+")


@pytest.fixture
def workflow(request: pytest.FixtureRequest) -> str:
    path: Path = request.config.rootpath / "docs" / "conformance.yml"
    if not path.exists():
        pytest.skip("only in the repository: an installed package has no docs")
    return path.read_text(encoding="utf-8")


def faults(text: str) -> list[str]:
    """What GitHub Actions would refuse in a workflow."""
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    if not isinstance(content, dict):
        return ["no mapping"]
    content = {"on" if key is True else key: value for key, value in content.items()}  # YAML 1.1 reads on as true
    found = [f"unknown key {key}" for key in content if key not in ("name", "on", "env", "permissions", "jobs")]
    events = content.get("on")
    if not isinstance(events, list) or not set(events) <= {"push", "pull_request", "schedule", "workflow_dispatch"}:
        found.append(f"events: {events}")
    jobs = content.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        return [*found, "no jobs"]
    for name, job in jobs.items():
        if not isinstance(job, dict) or set(job) != {"runs-on", "steps"} or not isinstance(job["runs-on"], str):
            found.append(f"{name}: a job has runs-on and steps")
        elif not isinstance(job["steps"], list) or not job["steps"]:
            found.append(f"{name}: no steps")
        else:
            found += [f"{name}: step {step}" for step in job["steps"] if not _sound(step)]
    return found


def _sound(step: object) -> bool:
    """Whether a step uses an action of a fixed version, or runs something that a shell can read."""
    if not isinstance(step, dict) or len({"uses", "run"} & set(step)) != 1 or set(step) - {"uses", "run", "name", "with"}:
        return False
    if "uses" in step:
        return isinstance(step["uses"], str) and USES.fullmatch(step["uses"]) is not None
    try:
        return isinstance(step["run"], str) and len(shlex.split(step["run"])) > 0
    except ValueError:
        return False


def test_the_workflow_is_eight_lines_without_a_fault(workflow: str) -> None:
    assert len(workflow.splitlines()) == 8
    assert max(map(len, workflow.splitlines())) <= 128
    assert faults(workflow) == []


def test_the_workflow_checks_out_installs_and_checks_against_a_baseline(workflow: str) -> None:
    steps = yaml.safe_load(workflow)["jobs"]["conformance"]["steps"]
    assert steps[0]["uses"].startswith("actions/checkout@")
    assert "pip install" in steps[1]["run"]
    command = shlex.split(steps[-1]["run"])
    assert command[:3] == [".venv/bin/fishergauge", "check", "my_package.curvature:subject"]
    assert [word for word in command if word.startswith("--")] == ["--baseline", "--junit"]


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("      - run", "     - run", "no YAML"),
        ("jobs:", "job:", "unknown key job"),
        ("push,", "pushed,", "events"),
        ("    runs-on: ubuntu-latest\n", "", "a job has runs-on and steps"),
        ("steps:", "step:", "a job has runs-on and steps"),
        ("- uses: actions/checkout@v4", "- uses: actions/checkout", "step"),
        ("- run: .venv", "- runs: .venv", "step"),
        (" check my", " 'check my", "step"),
        ("on: [push, pull_request]\n", "", "events"),
    ],
)
def test_a_fault_in_the_workflow_would_be_seen(right: str, wrong: str, fault: str, workflow: str) -> None:
    broken = workflow.replace(right, wrong, 1)
    assert broken != workflow
    assert any(fault in found for found in faults(broken))
