"""What a run of ``fishergauge bench`` measures: implementations, tasks, problems and precisions."""

import argparse
import importlib.util
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple, get_args

from fishergauge.reports.sweep.sent_subject import Sent, loaded
from fishergauge.reports.usage import UsageError, patterns, require_matches
from fishergauge.suites.benchmarks.implementation import Implementation, Kind
from fishergauge.suites.benchmarks.problems import BENCHES, SIZES, Bench
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.benchmarks.registry import PEERS, implementations
from fishergauge.suites.benchmarks.task import Task
from fishergauge.suites.subject import Subject

KINDS: tuple[Kind, ...] = get_args(Kind)
LISTING = "fishergauge bench --list"
QUICK_FAMILIES = ("softmax", "mlp")
PEERS_EXTRA = "pip install 'fishergauge[peers]'"


class Case(NamedTuple):
    """A task on a problem in a precision, with those who do it."""

    task: Task
    bench: Bench
    dtype: str
    implementations: tuple[Implementation, ...]

    def __str__(self) -> str:
        return f"{self.task} on {self.bench.name} in {self.dtype}"


@dataclass(frozen=True)
class BenchPlan:
    """What is measured.

    Args:
        implementations: those chosen, each for its task.
        benches: the problems.
        dtypes: ``"float64"``, ``"float32"`` or both.
        device: ``"cpu"`` or ``"cuda"``.
        subjects: names of those under test.
        kinds: whose implementations are asked for.
        tasks: patterns of tasks.
        names: patterns of implementations.
        sent: what other processes are told of the subjects, in the same order.
    """

    implementations: tuple[Implementation, ...]
    benches: tuple[Bench, ...]
    dtypes: tuple[str, ...] = ("float64",)
    device: str = "cpu"
    subjects: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    tasks: str = "*"
    names: str = "*"
    sent: tuple[Sent, ...] = ()

    def cases(self) -> Iterator[Case]:
        """All cases, problem by problem, the implementations of a task together."""
        for bench in self.benches:
            for dtype in self.dtypes:
                for task in dict.fromkeys(one.task for one in self.implementations):
                    yield Case(task, bench, dtype, tuple(one for one in self.implementations if one.task == task))

    def asks_for(self, record: BenchRecord) -> bool:
        """Whether a record of another run belongs to what this one measures, or would if its implementation were still there.

        Args:
            record: of a baseline.
        """
        return (
            record.problem in {bench.name for bench in self.benches}
            and record.dtype in self.dtypes
            and record.device == self.device
            and record.kind in self.kinds
            and (record.kind != "subject" or any(is_of(name, record) for name in self.subjects))
            and _matches(f"{record.quantity}/{record.operation}", self.tasks)
            and _matches(record.implementation, self.names)
        )


def is_of(subject: str, record: BenchRecord) -> bool:
    """Whether a record is of a subject, in one of its variants.

    Args:
        subject: its name.
        record: of any kind.

    Example:
        >>> is_of("mine", BenchRecord("mine:cg", "ggn", "solve", "mlp-small", "float64", "cpu", kind="subject"))
        True
    """
    return record.kind == "subject" and f"{record.implementation}:".startswith(f"{subject}:")


def plan_of(options: argparse.Namespace) -> BenchPlan:
    """What the options ask for.

    Args:
        options: as parsed.

    Raises:
        UsageError: a size is unknown, a pattern matches nothing, or two subjects have one name.
        SubjectError: a subject cannot be loaded.
    """
    if options.device not in ("cpu", "cuda"):
        raise UsageError(f"--device {options.device!r} is no device; use cpu or cuda")
    given = loaded(list(dict.fromkeys(options.subject)))
    subjects = [subject for subject, _ in given]
    kinds = tuple(kind for kind in KINDS if kind != "peer" or options.peers is not False)
    _distinct(subjects, {one.name for one in implementations(kinds=kinds)} if subjects else set())
    offered = installed(kinds, subjects)
    if options.peers and (absent := missing_peers()):
        raise UsageError(f"--peers: not installed: {', '.join(absent)}; run: {PEERS_EXTRA}, or leave --peers out")
    chosen = _chosen(offered, "--tasks", options.tasks, [str(one.task) for one in offered])
    names = _chosen(offered, "--implementations", options.implementations, [one.name for one in offered])
    if options.quick and options.implementations is None:
        names = [one for one in names if not _by_conjugate_gradients(one)]
    both = [one for one in chosen if one in names]
    if not both:
        raise UsageError(f"none of these implementations does one of these tasks; {LISTING} shows who does what")
    return BenchPlan(
        implementations=tuple(both),
        benches=tuple(_benches(options)),
        dtypes=("float64", "float32") if options.dtype == "both" else (options.dtype,),
        device=options.device,
        subjects=tuple(subject.name for subject in subjects),
        kinds=kinds,
        tasks=options.tasks or "*",
        names=options.implementations or "*",
        sent=tuple(sent for _, sent in given),
    )


def installed(kinds: Sequence[Kind], subjects: Sequence[Subject]) -> list[Implementation]:
    """The implementations that can be measured here.

    Args:
        kinds: whose.
        subjects: under test.
    """
    return [one for one in implementations(kinds=kinds, subjects=subjects) if one.missing is None]


def _benches(options: argparse.Namespace) -> list[Bench]:
    """The problems: those of the sizes that the patterns match; without ``--sizes``, a pattern of other sizes counts too."""
    sizes = _sizes(options.sizes) if options.sizes is not None else ["small"] if options.quick else ["small", "medium"]
    sized = [bench for bench in BENCHES.values() if bench.size in sizes]
    if options.problems is None:
        fewer = options.quick and options.sizes is None
        return [bench for bench in sized if not fewer or bench.family in QUICK_FAMILIES]
    require_matches("--problems", options.problems, BENCHES, LISTING)
    found: list[Bench] = []
    for pattern in patterns(options.problems):
        matched = [bench for bench in sized if fnmatchcase(bench.name, pattern)]
        if not matched and options.sizes is None:
            matched = [bench for bench in BENCHES.values() if fnmatchcase(bench.name, pattern)]
        found += matched
    if not found:
        raise UsageError(f"--problems {options.problems!r} matches no problem of the sizes {options.sizes}; leave --sizes out")
    return [bench for bench in BENCHES.values() if bench in found]


def _sizes(text: str) -> list[str]:
    for size in patterns(text):
        if size not in SIZES:
            raise UsageError(f"--sizes {size!r} is no size; choose from {', '.join(SIZES)}, separated by commas")
    if not patterns(text):
        raise UsageError(f"--sizes is empty; choose from {', '.join(SIZES)}")
    return patterns(text)


def _chosen(offered: Sequence[Implementation], option: str, text: str | None, names: Sequence[str]) -> list[Implementation]:
    """The implementations whose name, or task, the patterns of an option match; all without it."""
    if text is None:
        return list(offered)
    require_matches(option, text, dict.fromkeys(names), LISTING)
    return [one for one, name in zip(offered, names, strict=True) if _matches(name, text)]


def _by_conjugate_gradients(one: Implementation) -> bool:
    """Whether it is a second way of the reference to a solution, which takes many products: left out by ``--quick``."""
    return one.kind == "reference" and one.name.rpartition(":")[2] == "cg"


def _matches(name: str, text: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns(text))


def _distinct(subjects: Sequence[Subject], taken: Container[str]) -> None:
    """Refuse names that would not tell records apart."""
    names = [subject.name for subject in subjects]
    for name in names:
        if names.count(name) > 1 or name in taken:
            other = "an implementation that is measured beside it" if name in taken else "another subject"
            raise UsageError(f"--subject: {name!r} is also the name of {other}; give the subject a name of its own")


def missing_peers() -> list[str]:
    """The modules of peers that are not installed."""
    return [module for module in PEERS if importlib.util.find_spec(module) is None]
