"""The workflows for GitHub Actions and GitLab that users copy are of sound syntax."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fishergauge.reports.workflow_rehearsal import BASH

SCHEMAS = {"github.yml": "vendor.github-workflows", "gitlab.yml": "vendor.gitlab-ci"}


def _file(config: pytest.Config, name: str) -> Path:
    path = config.rootpath / "docs" / "ci" / name
    if not path.exists():
        pytest.skip("only in the repository: an installed package has no docs")
    return path


@pytest.fixture
def github(request: pytest.FixtureRequest) -> dict[str, Any]:
    content = yaml.safe_load(_file(request.config, "github.yml").read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in content.items()}  # YAML 1.1 reads on as true


@pytest.fixture
def gitlab(request: pytest.FixtureRequest) -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(_file(request.config, "gitlab.yml").read_text(encoding="utf-8"))["fishergauge"]
    return job


def scripts(content: object) -> list[str]:
    """All texts that a shell runs."""
    if isinstance(content, Mapping):
        own = [content[key] for key in ("run", "before_script", "script", "after_script") if key in content]
        lists = [[one] if isinstance(one, str) else list(one) for one in own]
        return [text for one in lists for text in one] + [text for value in content.values() for text in scripts(value)]
    return [text for value in content for text in scripts(value)] if isinstance(content, list) else []


def readable(script: str) -> bool:
    """Whether a shell can read a text."""
    return subprocess.run([str(BASH), "-n"], input=script, text=True, capture_output=True).returncode == 0


def refused(path: Path, schema: str) -> bool:
    """Whether a schema refuses a file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, timeout=60).returncode != 0


@pytest.mark.parametrize(
    ("name", "wrong"), [("github.yml", ("runs-on:", "run-on:")), ("gitlab.yml", ("when: always", "when: once"))]
)
def test_the_schema_accepts_the_file_and_refuses_a_broken_one(
    name: str, wrong: tuple[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("check_jsonschema")
    path = _file(request.config, name)
    text = path.read_text(encoding="utf-8")
    broken = tmp_path / name
    broken.write_text(text.replace(*wrong), encoding="utf-8")
    assert broken.read_text(encoding="utf-8") != text
    assert not refused(path, SCHEMAS[name])
    assert refused(broken, SCHEMAS[name])


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_a_shell_can_read_all_scripts(github: dict[str, Any], gitlab: dict[str, Any]) -> None:
    assert (len(scripts(github)), len(scripts(gitlab))) == (5, 4)
    assert [script for script in (*scripts(github), *scripts(gitlab)) if not readable(script)] == []
    assert not readable("if true; then echo 'no end")


def test_nothing_is_put_into_a_script_by_the_workflow(github: dict[str, Any]) -> None:
    assert [script for script in scripts(github) if "${{" in script] == []
    assert scripts({"steps": [{"run": "echo ${{ github.head_ref }}"}]}) == ["echo ${{ github.head_ref }}"]


def test_actions_have_a_major_version_and_few_permissions(github: dict[str, Any]) -> None:
    used = [step["uses"] for step in github["jobs"]["report"]["steps"] if "uses" in step]
    assert [one for one in used if not re.fullmatch(r"actions/[\w/-]+@v\d+", one)] == []
    assert github["permissions"] == {"contents": "read"}
    assert github["jobs"]["report"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "pull_request_target" not in github["on"]
    assert github["jobs"]["report"]["steps"][0]["with"] == {"persist-credentials": False}
