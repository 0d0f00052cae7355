"""What a run of pytest-benchmark measures: implementations by problems, as the options of the plug-in say."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch

from fishergauge.reference import Problem, UnsupportedError
from fishergauge.suites import devices
from fishergauge.suites.benchmarks import problems, registry
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.task import Operation
from fishergauge.suites.plugin import subjects

NAMES = ("task", "implementation", "problem", "precision", "device")
CHOSEN = pytest.StashKey["dict[tuple[str, str], Implementation]"]()


@dataclass(frozen=True)
class BenchOptions:
    """The options of a run.

    Args:
        sizes: of the problems.
        device: that computes.
        patterns: of names, tasks or quantities; everything without any.
        precision: ``"float64"`` or ``"float32"``.
    """

    sizes: tuple[str, ...]
    device: str
    patterns: tuple[str, ...]
    precision: str


def options_of(config: pytest.Config) -> BenchOptions:
    """The options of a run.

    Raises:
        UsageError: a size is unknown, or the device is required and not visible.
    """
    sizes = tuple(config.getoption("bench_sizes").split(","))
    if unknown := sorted(set(sizes) - set(problems.SIZES)):
        raise pytest.UsageError(f"--bench-sizes: no such size: {', '.join(unknown)}; there are {', '.join(problems.SIZES)}")
    device = config.getoption("bench_device")
    try:
        devices.require()
    except UnsupportedError as error:
        raise pytest.UsageError(str(error)) from None
    patterns = config.getoption("bench_implementations")
    return BenchOptions(sizes, device, tuple(patterns.split(",")) if patterns else (), config.getoption("fisher_dtype"))


def parametrize(metafunc: pytest.Metafunc, operations: Sequence[Operation]) -> None:
    """Make the cases of a test function: every implementation of the operations on every problem of the sizes asked for.

    Args:
        metafunc: of a function that takes ``measured``.
        operations: of the tasks.
    """
    options = options_of(metafunc.config)
    chosen = [each for each in chosen_by(metafunc.config).values() if each.task.operation in operations]
    tasks = list(dict.fromkeys(each.task for each in chosen))
    cases = [
        pytest.param(*values, id="-".join(values))
        for bench in problems.BENCHES.values()  # outside: a problem and what is known of it are made once
        if bench.size in options.sizes
        for each in sorted(chosen, key=lambda each: tasks.index(each.task))
        for values in [(str(each.task), each.name, bench.name, options.precision, options.device)]
    ]
    if not cases:
        reason = f"no implementation that matches {','.join(options.patterns)} does this"
        cases = [pytest.param(*NAMES, id="none", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize(NAMES, cases)


def chosen_by(config: pytest.Config) -> dict[tuple[str, str], Implementation]:
    """The implementations that a run measures, by task and name.

    Raises:
        UsageError: the patterns match none, or an option is wrong.
    """
    if CHOSEN not in config.stash:
        options = options_of(config)
        found = registry.implementations(subjects=tuple(subjects(config).values()), globs=options.patterns)
        if not found:
            raise pytest.UsageError(
                f"--bench-implementations: {','.join(options.patterns)} matches no name, task or quantity; "
                "patterns are such as 'fishergauge*', 'ggn/dense' or 'kfac'"
            )
        config.stash[CHOSEN] = {(str(each.task), each.name): each for each in found}
    return config.stash[CHOSEN]


@functools.lru_cache(maxsize=1)
def made_problem(name: str, precision: str, device: str) -> Problem:
    """A problem, kept until another one is asked for."""
    return problems.BENCHES[name].problem(getattr(torch, precision), device)
