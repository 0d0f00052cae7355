"""What a conformance run is asked to do: plain values, so that they can be handed to another process."""

import argparse
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fishergauge.suites.selection import Options


@dataclass(frozen=True)
class ConformanceOptions:
    """The options of ``fishergauge check`` for a run on several subjects.

    Args:
        quick: a covering subset of the problems.
        problems: globs of names, separated by commas.
        claims: globs of ids or names, separated by commas.
        dtype: ``"float64"`` or ``"float32"``.
        device: ``"cpu"``, ``"cuda"``, ...
        seed: of data, parameters and draws.
        problem_files: Python files with further problems.
        limit: seconds that one call of a subject may take.
        expected: a file with expected failures of the user's subjects; empty for none.
        jobs: number of processes.
    """

    quick: bool = False
    problems: str = "*"
    claims: str = "*"
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    problem_files: tuple[str, ...] = ()
    limit: float = 10.0
    expected: str = ""
    jobs: int = 1

    @property
    def selection(self) -> dict[str, Any]:
        """What determines the checks and their verdicts, files by name; the number of processes does not."""
        return {name: value for name, value in asdict(self).items() if name not in ("jobs", "expected")}

    def of_check(self, spec: str) -> argparse.Namespace:
        """The same as ``fishergauge check`` has it.

        Args:
            spec: the subject as typed.
        """
        files = [Path(file) for file in self.problem_files]
        return argparse.Namespace(subject=spec, problem_file=files, **asdict(self))

    def of_suites(self) -> "Options":
        """The same as the suites have it."""
        from fishergauge.suites.selection import Options

        return Options(
            self.problems,
            self.claims,
            self.dtype,
            self.device,
            self.seed,
            self.quick,
            limit=self.limit,
            problem_files=self.problem_files,
        )

    @property
    def problem_options(self) -> list[str]:
        """The files of problems as options of a command."""
        return [part for file in self.problem_files for part in ("--problem-file", file)]

    def command_of(self, spec: str) -> str:
        """The command that repeats a check of a subject, as far as it does not depend on the check.

        Args:
            spec: the subject as typed.
        """
        return shlex.join(["fishergauge", "check", spec, *self.problem_options])
