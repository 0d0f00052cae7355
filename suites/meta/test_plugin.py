"""The pytest plug-in in a host project of its own: strict, with warnings as errors, as somebody else would use it."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

HOST = """
[tool.pytest]
strict = true
filterwarnings = ["error"]
addopts = ["-p", "no:cacheprovider", "-p", "no:randomly"]
"""

SUBJECTS = """
from fishergauge.reference import fisher
from fishergauge.suites import Subject

def right(problem):
    print("hello")
    if problem.inputs.ndim > 2:
        raise NotImplementedError("no positions")
    return fisher(problem).dense()

def wrong(problem):
    return 2 * right(problem)

def refuses(problem):
    raise NotImplementedError("nothing at all")

def crashes(problem):
    raise ZeroDivisionError("somewhere")

good = Subject("good", right)
bad = Subject("bad", wrong)
known = Subject("known", wrong, expected_failures={"T1@*": "twice as large", "T26-symmetric@softmax-regression": "no, it is"})
shy = Subject("shy", refuses)
broken = Subject("broken", crashes)
"""

PROBLEMS = "softmax-regression,loss-per-position"
CLAIMS = "T1,T26-symmetric"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host project with subjects in a file."""
    (tmp_path / "pyproject.toml").write_text(HOST)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    return tmp_path


def run(host: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own, as the host project would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(path or "")}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=host, env=environment, capture_output=True, text=True, timeout=300)


def conforms(host: Path, *names: str, more: str = "") -> None:
    """Write a test file that verifies some subjects on few problems."""
    lines = ["from fishergauge.suites import verify", f"from mine import {', '.join(names)}"]
    lines += [f"test_{name} = verify({name}, problems={PROBLEMS!r}, claims={CLAIMS!r}{more})" for name in names]
    (host / "test_mine.py").write_text("\n".join(lines))


def counts(output: str) -> dict[str, int]:
    """The numbers of the last line that pytest prints."""
    found = re.findall(r"(\d+) (passed|failed|skipped|xfailed|error)", output.splitlines()[-1])
    return {what: int(number) for number, what in found}


def test_a_host_without_subjects_notices_nothing_and_imports_no_torch(host: Path) -> None:
    (host / "test_host.py").write_text(
        "import sys, warnings\nimport pytest\n"
        "def test_modules():\n    assert 'fishergauge.suites.plugin' in sys.modules\n    assert 'torch' not in sys.modules\n"
        "def test_filters():\n    with pytest.raises(UserWarning):\n        warnings.warn('mine')\n"
    )
    done = run(host)
    assert (done.returncode, counts(done.stdout)) == (0, {"passed": 2})
    assert "fishergauge" not in done.stdout.replace("plugins: fishergauge", "")


def test_each_verdict_becomes_an_outcome_with_the_message_alone(host: Path) -> None:
    conforms(host, "good", "bad", "known", "broken")
    done = run(host, "-rA", "--junitxml", "junit.xml")
    assert done.returncode == 1
    assert counts(done.stdout) == {"passed": 3, "failed": 6, "skipped": 6, "xfailed": 1}
    assert "PASSED test_mine.py::test_good[good-T1@softmax-regression[float64-cpu]]" in done.stdout
    assert "no positions" in done.stdout
    assert "violated  T1 equals-exact   bad on softmax-regression (float64, cpu, seed 0)" in done.stdout
    assert "again     pytest 'test_mine.py::test_bad[bad-T1@softmax-regression[float64-cpu]]'" in done.stdout
    assert "XFAIL test_mine.py::test_known[known-T1@softmax-regression[float64-cpu]] - expected: twice as large" in done.stdout
    assert "unexpected T26-symmetric" in done.stdout
    assert "ZeroDivisionError: somewhere" in done.stdout
    assert "Traceback" not in done.stdout
    assert "verification.py" not in re.sub(r"SKIPPED.*", "", done.stdout)
    assert "bad: 4 checks: 1 holds, 1 violated, 2 unsupported" in done.stdout
    found = {case.get("name"): case for case in ET.parse(host / "junit.xml").iter("testcase")}
    properties = found["test_bad[bad-T1@softmax-regression[float64-cpu]]"].iter("property")
    values = {item.get("name"): item.get("value") for item in properties}
    assert values["verdict"] == "violated"
    assert float(str(values["measured"])) == pytest.approx(1.0)
    assert float(str(values["slack"])) == pytest.approx(float(str(values["measured"])) / float(str(values["bound"])))


def test_xdist_gives_the_same_outcomes_and_the_same_complaints(host: Path) -> None:
    pytest.importorskip("xdist")
    (host / "fishergauge.toml").write_text('[[expected]]\nclaim = "T1"\nproblem = "no-such"\nreason = "old"\n')
    conforms(host, "good")
    done = run(host, "-rA", "-n", "2")
    assert (done.returncode, counts(done.stdout)) == (1, {"passed": 2, "skipped": 2})
    assert "matches no executed check; no problem of this claim is called no-such" in done.stdout
    passed = sorted(re.findall(r"PASSED test_mine.py::test_good.good-(.*)\]", done.stdout))
    assert passed == [f"{claim}@softmax-regression[float64-cpu]" for claim in ("T1", "T26-symmetric")]


def test_a_claim_that_nothing_examined_fails_the_run_unless_it_was_restricted(host: Path) -> None:
    conforms(host, "shy")
    whole, part = run(host), run(host, "-k", "T1")
    assert (whole.returncode, counts(whole.stdout)) == (1, {"skipped": 4})
    assert "vacuous   T1 equals-exact of shy: not executed on any of 2 problems" in whole.stdout
    assert part.returncode == 0
    assert "vacuous" not in part.stdout


def test_patterns_that_match_nothing_are_an_error_of_collection(host: Path) -> None:
    conforms(host, "good")
    (host / "test_mine.py").write_text((host / "test_mine.py").read_text().replace(PROBLEMS, "mpl-*"))
    done = run(host)
    assert done.returncode == 2
    assert "no check is left of good" in done.stdout
    assert "Traceback" not in done.stdout


def test_with_a_subject_only_its_conformance_is_collected_under_the_same_ids(host: Path) -> None:
    (host / "other-1.0.dist-info").mkdir()
    (host / "other-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (host / "other-1.0.dist-info" / "entry_points.txt").write_text("[fishergauge.subjects]\nregistered = mine:bad\n")
    arguments = ["--pyargs", "fishergauge.suites", "--collect-only", "-q", "--fisher-quick", "--fisher-dtype", "float32"]
    done = run(host, *arguments, "--subject", "mine.py:good", "--subjects", "installed", path=host)
    assert done.returncode == 0, done.stdout + done.stderr
    nodes = [line for line in done.stdout.splitlines() if "::" in line]
    assert len(nodes) > 100
    assert all("test_conformance.py::test_conforms[" in node for node in nodes)
    names = [node.partition("::")[2] for node in nodes]
    assert "test_conforms[good-T1@softmax-regression[float32-cpu]]" in names
    assert "test_conforms[bad-T1@softmax-regression[float32-cpu]]" in names


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--subject", "mine.py:godo"], 4, "mine.py has no attribute 'godo'. Did you mean good"),
        (["--subject", "mine.py:good", "--subject", "./mine.py:good"], 4, "several subjects are called good"),
        (
            ["--subject", "mine.py:good", "test_host.py"],
            1,
            "no check of good ran: start pytest with --pyargs",
        ),
    ],
)
def test_a_subject_that_cannot_be_checked_fails_the_run(arguments: list[str], code: int, said: str, host: Path) -> None:
    (host / "test_host.py").write_text("def test_nothing():\n    pass\n")
    done = run(host, *arguments)
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_the_command_line_repeats_a_check_of_a_subject_with_an_address(host: Path) -> None:
    done = run(host, "--pyargs", "fishergauge.suites", "--subject", "mine.py:bad", "-k", "T1 and softmax-regression")
    assert done.returncode == 1
    assert "fishergauge: bad (fisher, dense) from mine.py:bad" in done.stdout
    assert "fishergauge check mine.py:bad --claims T1 --problems softmax-regression --seed 0" in done.stdout


def test_a_host_may_have_a_package_called_suites(host: Path) -> None:
    (host / "suites").mkdir()
    (host / "suites" / "__init__.py").write_text("number = 1\n")
    (host / "suites" / "test_own.py").write_text("import suites\n\ndef test_own():\n    assert suites.number == 1\n")
    (host / "conftest.py").write_text("from suites import number\n")
    selection = ["-k", "own or T1 and softmax-regression"]
    done = run(host, "suites", "--pyargs", "fishergauge.suites", "--subject", "mine.py:good", *selection)
    assert done.returncode == 0, done.stdout
    assert "test_own.py ." in done.stdout
    assert "test_conformance.py ." in done.stdout
