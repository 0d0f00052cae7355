"""Rehearsals of the workflows for continuous integration: their steps are run with programs that write down what they do."""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BASH = shutil.which("bash")
SUBJECT = "my_package.curvature:subject"
MARK = "<!-- fishergauge report -->"

# A program that writes down how it was called, and a report where one is asked for.
FISHERGAUGE = """#!/bin/bash
printf '%s\\n' "$@" > called.txt
if [ "$CODE" -le 1 ]; then
  mkdir -p report/conformance
  printf '%s' "$REPORT" > report/report.md
  echo '{"new": true}' > report/report.json
  echo '{}' > report/conformance/records.jsonl
fi
exit "$CODE"
"""
PYTHON = f"""#!/bin/bash
if [ "$1" = "-m" ]; then echo "$@" >> installed.txt; else exec {sys.executable} "$@"; fi
"""
GH = """#!/bin/bash
echo "$@" >> asked.txt
case "$*" in
  *--paginate*) printf '%s' "$KNOWN" ;;
  *) if [ "$REFUSED" = yes ]; then exit 1; fi; cp comment.md sent.md ;;
esac
"""
CURL = """#!/bin/bash
echo "$@" >> asked.txt
while [ $# -gt 1 ]; do
  if [ "$1" = --output ]; then output=$2; fi
  shift
done
case "$1" in
  */artifacts/*) if [ "$PREVIOUS" = yes ]; then echo old > "$output"; else exit 22; fi ;;
  *per_page*) printf '%s' "$NOTES" ;;
  *) cp comment.md sent.md ;;
esac
"""


@dataclass
class Outcome:
    """What became of a job.

    Args:
        failed: names of the steps that failed it.
        done: names of the steps that were begun.
        saved: the report that was kept for the next run, or empty.
    """

    failed: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    saved: str = ""


def programs(folder: Path, **texts: str) -> str:
    """A search path on which programs of one's own come first.

    Args:
        folder: into which they are written.
        **texts: by name.
    """
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(stat.S_IRWXU)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def value(text: str, context: Mapping[str, str]) -> Any:
    """A text with expressions of GitHub Actions, evaluated; enough of the language for our workflow.

    Args:
        text: with or without expressions.
        context: their values by name.

    Example:
        >>> value("${{ !cancelled() && github.event_name == 'push' }}", {"github.event_name": "push"})
        True
        >>> value("run ${{ github.run_id }}", {"github.run_id": "7"})
        'run 7'
    """
    whole = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", text, flags=re.DOTALL)
    if whole and "}}" not in whole[1]:
        code = whole[1].replace("!cancelled()", "True").replace("&&", " and ").replace("||", " or ")
        code = re.sub(r"(?<!['\w])(github|steps)(\.[\w-]+)+", lambda name: repr(context.get(name[0], "")), code)
        return eval(" ".join(code.split()), {"__builtins__": {}})
    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda name: context.get(name[1], ""), text)


def run_github(workflow: dict[str, Any], folder: Path, context: Mapping[str, str], **environment: str) -> Outcome:
    """Run the steps of the job as GitHub Actions does: after a failure those alone that ask for it.

    Args:
        workflow: as YAML reads it.
        folder: the working folder.
        context: values of expressions by name.
        **environment: for our programs: ``CODE`` and ``REPORT`` of fishergauge, ``KNOWN`` comments, ``REFUSED`` ones.
    """
    job = workflow["jobs"]["report"]
    path = programs(folder / "programs", fishergauge=FISHERGAUGE, python=PYTHON, gh=GH)
    known = dict(context)
    outcome = Outcome()
    for step in job["steps"]:
        name = step.get("name") or step["uses"]
        if not (value(step["if"], known) if "if" in step else not outcome.failed):
            continue
        outcome.done.append(name)
        if "uses" in step:
            if step["uses"].startswith("actions/cache/save"):
                outcome.saved = (folder / step["with"]["path"] / "report.json").read_text(encoding="utf-8")
            continue
        files = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "output")}
        given = {key: str(value(text, known)) for key, text in {**job["env"], **step.get("env", {})}.items()}
        names = {"GITHUB_REPOSITORY": known["github.repository"], "PATH": path, "REFUSED": "no", "KNOWN": ""}
        shell = [str(BASH), "-e", "-c", step["run"]]
        ran = subprocess.run(shell, cwd=folder, env={**names, **environment, **files, **given}, capture_output=True, timeout=30)
        if ran.returncode and not step.get("continue-on-error"):
            outcome.failed.append(name)
        if "id" in step and (folder / "output").exists():
            for line in (folder / "output").read_text().splitlines():
                key, _, text = line.partition("=")
                known[f"steps.{step['id']}.outputs.{key}"] = text
    return outcome


def run_gitlab(job: dict[str, Any], folder: Path, **environment: str) -> int:
    """Run the job as a runner does: what comes before and the script in one shell, what comes after in another.

    Args:
        job: as YAML reads it.
        folder: the working folder.
        **environment: of the job, and for our programs: ``CODE`` and ``REPORT`` of fishergauge, ``PREVIOUS``, ``NOTES``.

    Returns:
        The exit code of the job.
    """
    path = programs(folder / "programs", fishergauge=FISHERGAUGE, python=PYTHON, curl=CURL)
    names = {"CI_API_V4_URL": "https://example.org/api/v4", "CI_PROJECT_ID": "5", "CI_DEFAULT_BRANCH": "main"}
    names |= {"CI_JOB_NAME": "fishergauge", "CI_JOB_URL": "https://example.org/jobs/9", "PREVIOUS": "no", "NOTES": "[]"}
    everything = {**names, **job["variables"], **environment, "PATH": path}
    codes = []
    for parts in (("before_script", "script"), ("after_script",)):
        text = "\n".join(line for part in parts for line in job[part])
        shell = [str(BASH), "-eo", "pipefail", "-c", text]
        codes.append(subprocess.run(shell, cwd=folder, env=everything, capture_output=True, timeout=30).returncode)
    return codes[0]
