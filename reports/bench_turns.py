"""Workers of two versions, each in a process of its own, that time benchmarks in turn."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.bench_interleaved import RUNS, Interleaved, InterleavedError, Side, judged, order
from fishergauge.reports.bench_plan import BenchPlan
from fishergauge.reports.bench_worker import PROTOCOL
from fishergauge.suites.benchmarks.record import BenchRecord, RecordError, read_records

WORKER = "fishergauge.reports.bench_worker"
PROBE = f"import {WORKER} as w; print(w.__file__, w.PROTOCOL, sep='\\n')"


def interleave(
    request: Mapping[str, Any],
    old: Sequence[str],
    new: Sequence[str],
    runs: int = RUNS,
    progress: Callable[[int, int, object], None] | None = None,
) -> Interleaved:
    """Time two versions in turn and judge the times.

    Args:
        request: for the workers, see :func:`request_of`.
        old: the command that starts a worker of the old version.
        new: of the new one.
        runs: of each.
        progress: is told the number of finished runs, of all runs, and what runs now.

    Raises:
        InterleavedError: a worker ends with an error or does not write records.
    """
    commands: Mapping[Side, Sequence[str]] = {"old": old, "new": new}
    found: dict[Side, list[list[BenchRecord]]] = {"old": [], "new": []}
    turns = order(runs)
    for turn, side in enumerate(turns):
        if progress is not None:
            progress(turn, len(turns), f"{side} version")
        found[side].append(_run(side, commands[side], request))
    return judged(found["old"], found["new"])


def request_of(plan: BenchPlan, subjects: Sequence[str], threads: int, rounds: int | None, quick: bool) -> dict[str, Any]:
    """What the workers are asked for: the code of this package and of subjects, or what was named.

    Args:
        plan: of the run.
        subjects: as the user named them.
        threads: of torch.
        rounds: of timing in one run.
        quick: little time for each.
    """
    kinds = ("reference", "subject") if plan.names == "*" else plan.kinds
    cases = []
    for case in plan.cases():
        names = [one.name for one in case.implementations if one.kind in kinds]
        if names:
            about = {"quantity": case.task.quantity, "operation": case.task.operation, "problem": case.bench.name}
            cases.append({**about, "dtype": case.dtype, "implementations": names})
    if not cases:
        raise InterleavedError("--old: none of what is measured is of this package or a subject; name it by --implementations")
    return {
        "protocol": PROTOCOL,
        "device": plan.device,
        "threads": threads,
        "rounds": rounds or (3 if quick else 5),
        "warm_seconds": 0.02 if quick else 0.05,
        "budget_seconds": 0.5 if quick else 2.0,
        "kinds": list(dict.fromkeys(one.kind for one in plan.implementations if one.kind in kinds)),
        "subjects": list(subjects),
        "cases": cases,
    }


def _run(side: Side, command: Sequence[str], request: Mapping[str, Any]) -> list[BenchRecord]:
    """One run of a worker."""
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode:
        raise InterleavedError(f"the worker of the {side} version ended with {done.returncode}: {_last(done.stderr)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{side}.jsonl"
        path.write_text(done.stdout, encoding="utf-8")
        try:
            return read_records(path)
        except RecordError as error:
            raise InterleavedError(f"what the worker of the {side} version writes cannot be read: {error}") from None


def worker_of(python: str) -> list[str]:
    """The command that starts a worker of the version that an interpreter has installed.

    Args:
        python: path of the interpreter of an environment.

    Raises:
        InterleavedError: it is no interpreter, has no fishergauge, or one that cannot take part.
    """
    if not Path(python).is_file():
        below = Path(python) / "bin" / "python"
        hint = f"; did you mean {below}?" if below.is_file() else ""
        raise InterleavedError(
            f"--old {python}: there is no such file{hint}; give the interpreter of an environment with the old version"
        )
    try:
        done = subprocess.run([python, "-c", f"import sys; {PROBE}"], capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InterleavedError(f"--old {python} cannot be run as a Python interpreter: {error}") from None
    if done.returncode:
        raise InterleavedError(_without_worker(python, done.stderr))
    lines = done.stdout.splitlines()
    if len(lines) != 2:
        raise InterleavedError(
            f"--old {python} does not answer as a Python interpreter would; give that of the old environment"
        )
    if lines[1] != str(PROTOCOL):
        raise InterleavedError(
            f"--old {python}: that version has protocol {lines[1]}, this one {PROTOCOL}, so that they cannot be timed in turn; "
            "compare with a version nearer to this one"
        )
    return [python, "-m", WORKER]


def _without_worker(python: str, stderr: str) -> str:
    last = _last(stderr)
    if f"No module named '{WORKER}'" in last or "No module named 'fishergauge.reports" in last:
        return f"--old {python}: the fishergauge installed there has no {WORKER}; it is too old to be timed in turn"
    if "No module named 'fishergauge" in last:
        return f"--old {python}: there is no fishergauge in this environment; install the old version into it"
    return f"--old {python} cannot start a worker ({last}); give the Python interpreter of an environment with the old version"


def new_worker() -> list[str]:
    """The command that starts a worker of this version."""
    return [sys.executable, "-m", WORKER]


def _last(text: str) -> str:
    """The last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no message")
