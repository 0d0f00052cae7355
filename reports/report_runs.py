"""Running the stages of a report: each in a process of its own, kept once it has finished, resumed where it was interrupted."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fishergauge.reports.code_version import code_version
from fishergauge.reports.report_stages import Stage
from fishergauge.suites.atomic import write_atomically

STATE = "report_stages.json"
LOGS = "logs"
FINE = (0, 1, 3)
"""Exit codes of a run that came to its end: nothing red, something red, nothing examined."""
PAUSE = 0.05
"""Seconds between two looks at the processes."""
TRACEBACK = "Traceback (most recent call last)"
PROGRAM = "import sys; from fishergauge.reports.cli import main; sys.exit(main())"

How = Literal["ran", "kept", "found"]


@dataclass(frozen=True)
class StageRun:
    """What became of a stage.

    Args:
        stage: the stage.
        how: it ran, its finished results of an earlier report were kept, or results of another command were found.
        code: its exit code; None where it did not run now and is not known.
        last: the last line that it printed, or why it failed.
        seconds: that it took now.
        crashed: whether it ended by an exception, for which Python has the exit code of a red run.
    """

    stage: Stage
    how: How
    code: int | None
    last: str = ""
    seconds: float = 0.0
    crashed: bool = False

    @property
    def failed(self) -> bool:
        """Whether it did not come to its end."""
        return self.crashed or (self.code is not None and self.code not in FINE)


def run_stages(stages: Sequence[Stage], out: Path, fresh: bool, say: Callable[[str], None], at_once: int = 1) -> list[StageRun]:
    """Run what is not finished yet.

    Args:
        stages: in order.
        out: folder of the results, which exists.
        fresh: whether to run everything anew.
        say: prints a line.
        at_once: how many of them at the same time; more than one only where no time is measured.

    Returns:
        What became of each, in their order.

    Raises:
        KeyboardInterrupt: the user has had enough; what is finished is kept.
    """
    state, waiting, running, done = State(out), deque(stages), list[_Running](), dict[str, StageRun]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                stage = waiting.popleft()
                kept = None if fresh else state.kept(stage)
                if kept is not None:
                    say(f"{stage.part}: {'kept from the last report' if kept.how == 'kept' else _found(stage)}")
                    done[stage.part] = kept
                    continue
                say(f"{stage.part}: fishergauge {' '.join(stage.arguments)} ...")
                running.append(_begin(stage, out, fresh, state, alone=at_once == 1))
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                run = one.ended()
                state.end(run)
                say(f"{run.stage.part}: {run.last} ({run.seconds:.0f} s)")
                done[run.stage.part] = run
            if running:
                time.sleep(PAUSE)
    except BaseException:
        for one in running:
            one.process.terminate()
            one.process.wait()
        raise
    return [done[stage.part] for stage in stages]


def _found(stage: Stage) -> str:
    return f"{stage.artefact} is there, written by a run of its own, and is shown as it is; --fresh runs it anew"


def _forget(stage: Stage, out: Path) -> None:
    """Remove what a command would otherwise go on from."""
    for name in stage.forgotten:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _begin(stage: Stage, out: Path, fresh: bool, state: "State", alone: bool) -> "_Running":
    """Start a stage; what it prints goes to files, and its progress to the terminal if it runs alone."""
    begun = state.begun(stage)
    more = stage.anew if fresh or not (begun or stage.ours) else stage.resume if begun else ()
    state.begin(stage)
    if fresh:
        _forget(stage, out)
    logs = out / LOGS
    logs.mkdir(exist_ok=True)
    said, errors = logs / f"{stage.part}.txt", logs / f"{stage.part}-errors.txt"
    threads = {} if alone else {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    with said.open("w", encoding="utf-8") as file, errors.open("w", encoding="utf-8") as beside:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *stage.arguments, *more, "--out", str(out / stage.folder)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=None if alone and sys.stderr.isatty() else beside,
            env={**os.environ, **threads},
        )
    return _Running(stage, process, said, errors, time.perf_counter())


@dataclass(frozen=True)
class _Running:
    """A stage on its way."""

    stage: Stage
    process: "subprocess.Popen[bytes]"
    said: Path
    errors: Path
    start: float

    def ended(self) -> StageRun:
        """What became of it."""
        code, seconds = self.process.returncode, time.perf_counter() - self.start
        crashed = code == 1 and TRACEBACK in self.errors.read_text(encoding="utf-8", errors="replace")
        if code in FINE and not crashed:
            return StageRun(self.stage, "ran", code, _last(self.said), seconds)
        said = _last(self.errors) or _last(self.said)
        last = f"failed with exit code {code}: {said} (all of it: {LOGS}/{self.stage.part}*.txt)"
        return StageRun(self.stage, "ran", code, last, seconds, crashed)


def _last(log: Path) -> str:
    """The last line of a file that says something."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


class State:
    """Which stages have begun and ended in a folder, with what, and what they wrote.

    A finished stage is kept as long as the code, its arguments and its artefact are what they were. An artefact that no stage
    wrote comes from a command of the user's, which is believed. Stages with subjects of the user are not kept once they have
    finished: nobody sees what their code depends on.

    Args:
        out: folder of the results.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out / STATE
        self._stages: dict[str, dict[str, Any]] = _read(self.path)

    def kept(self, stage: Stage) -> StageRun | None:
        """The run that need not be repeated, or None."""
        known = self._stages.get(stage.part)
        now = _digest(self.out / stage.artefact)
        if now is None or not stage.ours:
            return None
        if stage.found and (known is None or known.get("artefact") not in (None, now)):
            return StageRun(stage, "found", None)
        if known is not None and known.get("key") == _key(stage) and known.get("artefact") == now:
            return StageRun(stage, "kept", _code(known), str(known.get("last", "")))
        return None

    def begun(self, stage: Stage) -> bool:
        """Whether the same stage was interrupted."""
        known = self._stages.get(stage.part, {})
        return known.get("key") == _key(stage) and "artefact" not in known

    def begin(self, stage: Stage) -> None:
        """Write down that a stage runs now."""
        self._stages[stage.part] = {"key": _key(stage)}
        self._write()

    def end(self, run: StageRun) -> None:
        """Write down what became of it; one that failed counts as interrupted."""
        written = _digest(self.out / run.stage.artefact)
        if not run.failed and written is not None:
            done = {"artefact": written, "code": run.code, "last": run.last}
            self._stages[run.stage.part] = {"key": _key(run.stage), **done}
            self._write()

    def _write(self) -> None:
        content = {"schema": 1, "stages": self._stages}
        write_atomically(self.path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _key(stage: Stage) -> str:
    """What determines the result of a stage, as far as it is ours; the number of processes does not."""
    arguments = list(stage.arguments)
    if "--jobs" in arguments:
        place = arguments.index("--jobs")
        del arguments[place : place + 2]
    return hashlib.sha256(repr((arguments, stage.folder, code_version())).encode()).hexdigest()[:16]


def _digest(path: Path) -> str | None:
    """Of a file, or None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None


def _code(known: Mapping[str, Any]) -> int | None:
    code = known.get("code")
    return code if isinstance(code, int) else None


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The stages on record; none where the file is absent or damaged, so that they run again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): dict(value) for name, value in content["stages"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
