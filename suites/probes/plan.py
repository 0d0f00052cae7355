"""Which probes run on which problems: from the options, the catalogue of large problems and files of the user's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

import torch

from fishergauge.reference import Problem
from fishergauge.suites.claim import Claim
from fishergauge.suites.probes.large.catalogue import LARGE
from fishergauge.suites.probes.probe import Probe
from fishergauge.suites.probes.registry import PROBES
from fishergauge.suites.problem_files import load_problems
from fishergauge.suites.selection import DTYPES, patterns
from fishergauge.suites.subject import Subject

Build = Callable[[torch.dtype, str, int], Problem]
SMALLEST = "1e4"


@dataclass(frozen=True)
class ProbeOptions:
    """What a run of probes is asked to do.

    Args:
        problems: globs of names, separated by commas.
        size: ``"1e4"``, ``"1e5"``, ``"1e6"`` or ``"1e7"`` parameters; empty for all that ``problems`` means, and where that
            means everything, for the smallest.
        probes: globs of ids, or of the claims whose place the probes take, separated by commas.
        dtype: ``"float64"`` or ``"float32"``.
        device: ``"cpu"``, ``"cuda"``, ...
        seed: of data, parameters and draws.
        quick: the first problem of a size alone.
        limit: seconds that one call of the subject may take.
        problem_files: Python files with problems of one's own; these are run alone unless ``problems`` or ``size`` says more.

    Raises:
        ValueError: a value is out of its range.
    """

    problems: str = "*"
    size: str = ""
    probes: str = "*"
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    quick: bool = False
    limit: float = 60.0
    problem_files: tuple[str | Path, ...] = ()

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is one of {', '.join(DTYPES)}, not {self.dtype!r}")
        if self.size and self.size not in sizes():
            raise ValueError(f"size is one of {', '.join(sizes())}, not {self.size!r}")
        if not self.limit > 0:
            raise ValueError(f"the limit is positive, not {self.limit}")


def sizes() -> list[str]:
    """The sizes of the catalogue, the smallest first."""
    return sorted({entry.size for entry in LARGE.values()}, key=float)


def chosen_problems(options: ProbeOptions) -> dict[str, Build]:
    """How the problems of a run are built, by name: those of the catalogue first, then those of files.

    Args:
        options: of the run.

    Raises:
        ProblemError: a file of problems cannot be used.

    Example:
        >>> list(chosen_problems(ProbeOptions(size="1e6", quick=True)))
        ['mlp-1e6']
    """
    own: dict[str, Build] = {}
    for file in options.problem_files:
        own |= load_problems(file)
    everything = options.problems == "*"
    size = options.size or (SMALLEST if everything else "")
    named = [
        name
        for name, entry in LARGE.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns(options.problems))
        and (not size or entry.size == size)
        and not (own and everything and not options.size)
    ]
    if options.quick:
        firsts = {LARGE[name].size: name for name in reversed(named)}
        named = [name for name in named if firsts[LARGE[name].size] == name]
    found: dict[str, Build] = {name: LARGE[name].build for name in named}
    return found | {
        name: build for name, build in own.items() if any(fnmatchcase(name, pattern) for pattern in patterns(options.problems))
    }


def chosen_probes(subject: Subject, options: ProbeOptions, probes: Mapping[str, Probe] = PROBES) -> list[Probe]:
    """The probes that are measured for a subject: those that it makes, and those that inform.

    Args:
        subject: under test.
        options: of the run.
        probes: to choose from.
    """
    wanted = patterns(options.probes)
    return [
        probe
        for probe in probes.values()
        if (probe.made_by(subject) or probe.informs) and any(probe.matches(pattern) for pattern in wanted)
    ]


def as_claim(probe: Probe) -> Claim:
    """A probe in the form of a claim, for messages that speak of either; it measures nothing."""
    return Claim(
        probe.id,
        probe.id,
        probe.statement,
        probe.source,
        probe.scope,
        probe.bound,
        probe.control,
        _measures_nothing,
        probe.requires,
        probe.excludes,
    )


def _measures_nothing(case: object) -> NoReturn:
    raise TypeError("a probe is measured on a ProbeCase")
