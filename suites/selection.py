"""Which checks a run makes: claims x problems, from what the subject declares, the tags of the problems and the options."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import torch

from fishergauge.reference import Problem, ProblemError
from fishergauge.suites.claim import Claim
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.problem_files import load_problems
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import CATALOGUE
from fishergauge.suites.zoo.declared import untrue_facts

DTYPES = {"float64": torch.float64, "float32": torch.float32}
Pair = tuple[str, str]


class Check(NamedTuple):
    """One claim on one problem: strings and numbers, so that it can be sent to another process and typed by a person."""

    claim: str
    problem: str
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0

    @property
    def id(self) -> str:
        """How test runners call it; it does not depend on how a run was started."""
        return f"{self.claim}@{self.problem}[{self.dtype}-{self.device}]"

    def again(self, command: str, what: str = "claims") -> str:
        """The command that repeats exactly this check, for a person; empty without one.

        Args:
            command: up to the selection.
            what: name of the option that selects the claim.
        """
        if not command:
            return ""
        parts = [command, f"--{what} {self.claim}", f"--problems {self.problem}", f"--seed {self.seed}"]
        if self.dtype != "float64":
            parts.append(f"--dtype {self.dtype}")
        if self.device != "cpu":
            parts.append(f"--device {self.device}")
        return " ".join(parts)


@dataclass(frozen=True)
class Options:
    """What a run is asked to do.

    Args:
        problems: globs, separated by commas.
        claims: globs of ids or names, separated by commas.
        dtype: ``"float64"`` or ``"float32"``.
        device: ``"cpu"``, ``"cuda"``, ...
        seed: of data, parameters and draws.
        quick: a covering subset of the problems.
        jobs: number of processes.
        limit: seconds that one call of the subject may take.
        problem_files: Python files with further problems.

    Raises:
        ValueError: a value is out of its range.
    """

    problems: str = "*"
    claims: str = "*"
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    quick: bool = False
    jobs: int = 1
    limit: float = 10.0
    problem_files: tuple[str | Path, ...] = ()

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is one of {', '.join(DTYPES)}, not {self.dtype!r}")
        if self.jobs < 1 or not self.limit > 0:
            raise ValueError(f"jobs and limit are positive, not {self.jobs} and {self.limit}")


class ProblemSet:
    """The problems of a run, built when they are first asked for.

    Args:
        options: dtype, device, seed and files of the run.

    Raises:
        ProblemError: a file of problems cannot be used.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.builders: dict[str, Callable[[torch.dtype, str, int], Problem]] = {n: e.build for n, e in CATALOGUE.items()}
        self.quick = {name for name, entry in CATALOGUE.items() if entry.quick}
        for file in options.problem_files:
            own = load_problems(file)
            self.builders |= own
            self.quick |= own.keys()
        self._built: dict[str, Problem] = {}
        self._tags: dict[str, frozenset[str]] = {}

    def __getitem__(self, name: str) -> Problem:
        if name not in self._built:
            problem = self.builders[name](DTYPES[self.options.dtype], self.options.device, self.options.seed)
            untrue = untrue_facts(problem) if name not in CATALOGUE else ()
            if untrue:
                raise ProblemError(f"problem {name} declares what it is not: {'; '.join(untrue)}. Correct its Facts")
            self._built[name] = problem
        return self._built[name]

    def tags(self, name: str) -> frozenset[str]:
        """The tags of a problem."""
        if name not in self._tags:
            self._tags[name] = tags_of(self[name])
        return self._tags[name]

    def names(self) -> Iterable[str]:
        """All names, those of files last."""
        return self.builders.keys()


def plan(subject: Subject, options: Options, problems: ProblemSet | None = None) -> list[Check]:
    """The checks of a run, problem by problem.

    With ``quick`` each claim is still examined: one that no problem of the subset belongs to gets the first one of the
    catalogue that does.

    Args:
        subject: under test.
        options: of the run.
        problems: of the run; built from the options by default.
    """
    problems = problems if problems is not None else ProblemSet(options)
    names = [name for name in problems.names() if matches(name, options.problems)]
    claims = [c for c in CLAIMS.values() if c.measured_for(subject) and any(c.matches(p) for p in patterns(options.claims))]
    chosen: set[Pair] = set()
    for claim in claims:
        fitting = [name for name in names if claim.applies_to(problems.tags(name), subject)]
        if options.quick:
            fitting = [name for name in fitting if name in problems.quick] or fitting[:1]
        chosen |= {(claim.id, name) for name in fitting}
    return [
        Check(claim.id, name, options.dtype, options.device, options.seed)
        for name in names
        for claim in claims
        if (claim.id, name) in chosen
    ]


def left_out(subject: Subject, options: Options, problems: ProblemSet) -> set[Pair]:
    """Claim and problem of each check that an unrestricted run would make and this one does not."""
    if options.problems == options.claims == "*" and not options.quick:
        return set()
    made = {(check.claim, check.problem) for check in plan(subject, options, problems)}
    return {
        (claim.id, name)
        for claim in CLAIMS.values()
        if claim.made_by(subject)
        for name in problems.names()
        if claim.applies_to(problems.tags(name), subject) and (claim.id, name) not in made
    }


def demanded(subject: Subject, options: Options) -> list[Claim]:
    """The claims that a run must examine on some problem: those made and selected; none if problems alone are selected."""
    if options.problems != "*" and options.claims == "*":
        return []
    return [c for c in CLAIMS.values() if c.made_by(subject) and any(c.matches(p) for p in patterns(options.claims))]


def patterns(text: str) -> Sequence[str]:
    """The globs of a list separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def matches(name: str, text: str) -> bool:
    """Whether one of the globs means this name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns(text))


def grouped(checks: Iterable[Check]) -> list[list[Check]]:
    """The checks of one problem together, so that what is computed for it is computed once; the expensive problems first."""
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.problem, []).append(check)

    def cost(group: list[Check]) -> int:
        return sum(CLAIMS[check.claim].cost for check in group)

    return sorted(groups.values(), key=cost, reverse=True)
