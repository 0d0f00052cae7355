"""Checks as pytest tests: ``verify`` for a researcher's own test file, and what the plug-in needs to run them."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.execution import Executor
from fishergauge.suites.expectations import FILE, Expectations
from fishergauge.suites.message import message
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.plugin import RECORD, SUITES, gathered, subjects
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.record import Record
from fishergauge.suites.selection import Check, Options, Pair, ProblemSet, demanded, left_out, plan
from fishergauge.suites.subject import Subject, as_subject

Shared = tuple[ProblemSet, QuantityCache]


def verify(
    subject: Subject | Callable[..., Any],
    *,
    problems: str = "*",
    claims: str = "*",
    dtype: str | None = None,
    device: str = "cpu",
    seed: int | None = None,
    quick: bool | None = None,
    limit: float = 10.0,
    problem_files: Iterable[str | Path] = (),
    expected: str | Path | None = None,
) -> Callable[..., None]:
    """A pytest test function with one case a check, to be stored under a name that begins with ``test``.

    A check that is violated, in error or unexpectedly holds fails with the message of ``fishergauge check``; an expected
    failure is an xfail, one that the subject does not support a skip with its words. What is not claimed is no case.

    Args:
        subject: a subject, or a callable that maps a problem to a matrix.
        problems: comma-separated patterns of problems.
        claims: comma-separated patterns of claims, by id or name.
        dtype: ``"float64"`` or ``"float32"``; None: as ``--fisher-dtype`` says.
        device: ``"cpu"`` or ``"cuda"``.
        seed: of data, parameters and draws; None: as ``--fisher-seed`` says.
        quick: a covering subset of the problems; None: as ``--fisher-quick`` says.
        limit: seconds after which a call of the subject is stopped.
        problem_files: Python files with further problems.
        expected: file of expected failures; None: ``fishergauge.toml`` in pytest's root directory, if it is there.

    Returns:
        The test function; its cases are made when pytest collects it, by the plug-in ``fishergauge``.

    Raises:
        SubjectError: it is no subject.

    Example:
        >>> from fishergauge.reference import fisher
        >>> test_mine = verify(fisher, quick=True, problems="mlp-*")
    """
    declared = as_subject(subject)
    chosen: dict[str, Any] = {"problems": problems, "claims": claims, "device": device, "limit": limit}
    chosen |= {"problem_files": tuple(Path(file) for file in problem_files)}
    asked = {"dtype": dtype, "seed": seed, "quick": quick}
    chosen |= {name: value for name, value in asked.items() if value is not None}
    Options(**chosen)  # a wrong value is to be seen here, not when tests are collected
    return checking(lambda config: [Suite.of(config, declared, expected=expected, **chosen)])


def checking(suites: "Callable[[pytest.Config], list[Suite]]") -> Callable[..., None]:
    """A test function whose cases are the checks of some suites, which are made when pytest collects it.

    Args:
        suites: makes them from pytest's configuration.
    """

    def test_conforms(fishergauge_case: tuple[Suite, Check], request: pytest.FixtureRequest) -> None:
        suite, check = fishergauge_case
        suite.perform(check, request)

    setattr(test_conforms, SUITES, suites)
    return test_conforms


def given(config: pytest.Config) -> "list[Suite]":
    """The suites of the subjects that the command line names."""
    return [
        Suite.of(config, subject, command=shlex.join(["fishergauge", "check", address]))
        for address, subject in subjects(config).items()
    ]


@dataclass(eq=False)
class Suite:
    """The checks of one subject within a run of pytest.

    Args:
        subject: under test.
        options: what is checked.
        expected: file of expected failures.
        command: ``fishergauge check ...`` as far as it does not depend on the check; empty where the subject has no address.
        shared: problems and reference quantities that other suites use as well.
    """

    subject: Subject
    options: Options
    expected: Path | None = None
    command: str = ""
    shared: Shared | None = None
    plan: tuple[Check, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.problems, self.quantities = self.shared or (ProblemSet(self.options), QuantityCache())
        checks = plan(self.subject, self.options, self.problems)
        self.plan = tuple(check for check in checks if CLAIMS[check.claim].made_by(self.subject))

    @classmethod
    def of(
        cls, config: pytest.Config, subject: Subject, *, command: str = "", expected: str | Path | None = None, **chosen: Any
    ) -> "Suite":
        """The suite of a subject, with the command line's options where none are chosen.

        Args:
            config: of pytest.
            subject: under test.
            command: as for a suite.
            expected: file of expected failures; None: ``fishergauge.toml`` in the root directory, if it is there.
            chosen: options of the run.
        """
        option = config.option
        asked = {"dtype": option.fisher_dtype, "seed": option.fisher_seed, "quick": option.fisher_quick}
        file = config.rootpath / (expected or FILE)
        options = Options(**{**asked, **chosen})
        key = (options.dtype, options.device, options.seed, options.problem_files)
        shared = gathered(config).shared.setdefault(key, (ProblemSet(options), QuantityCache()))
        return cls(subject, options, file if expected or file.exists() else None, command, shared)

    @cached_property
    def executor(self) -> Executor:
        """Runs the checks, in this process; keeps the reference quantities of a problem for the next check."""
        return Executor(self.subject, self.options, self.problems, self.command, quantities=self.quantities)

    @cached_property
    def left_out(self) -> set[Pair]:
        """Claims and problems that the selection leaves out, where an expected failure may speak of them."""
        return left_out(self.subject, self.options, self.problems) if self.expectations.entries else set()

    @cached_property
    def expectations(self) -> Expectations:
        """The expected failures."""
        return Expectations.load(self.subject, self.expected)

    def cases(self) -> list[Any]:
        """The parameters of the test function, with ids that do not depend on how pytest was started."""
        return [
            pytest.param(
                (self, check), id=f"{self.subject.name}-{check.id}", marks=pytest.mark.fishergauge(check.claim, check.problem)
            )
            for check in self.plan
        ]

    def summary(self) -> dict[str, Any]:
        """What the end of the run needs to know, in strings and lists, as it may come from another process."""
        return {
            "subject": self.subject.name,
            "demanded": [claim.id for claim in demanded(self.subject, self.options)],
            "named": self.options.claims != "*",
            "planned": [[check.claim, check.problem, check.dtype, check.device] for check in self.plan],
            "left_out": [list(pair) for pair in self.left_out],
            "expected": [
                {**vars(entry), "expires": entry.expires and entry.expires.isoformat()} for entry in self.expectations.entries
            ],
        }

    def perform(self, check: Check, request: pytest.FixtureRequest) -> None:
        """Run a check and end the test as its verdict asks."""
        with one_thread():
            record = self.executor.run(check)
        others = {(other.claim, other.problem) for other in self.plan if other != check}
        (record,), _ = self.expectations.apply([record], others | self.left_out)
        if record.red and not record.again:
            record = replace(record, again=f"pytest {shlex.quote(request.node.nodeid)}")
        request.node.stash[RECORD] = record
        values = {"verdict": record.verdict, "measured": record.measured, "bound": record.bound, "slack": record.slack}
        request.node.user_properties += [(key, value) for key, value in values.items() if value is not None]
        _end(record)


def _end(record: Record) -> None:
    """Pass, fail, skip or xfail."""
    if record.red:
        pytest.fail(message(record, CLAIMS), pytrace=False)
    if record.verdict in ("unsupported", "not-claimed"):
        pytest.skip(record.reason or record.verdict)
    if record.verdict == "expected":
        pytest.xfail(record.reason)


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Make the cases of a test function that :func:`checking` has made."""
    suites = getattr(metafunc.function, SUITES)(metafunc.config)
    cases = [case for suite in suites for case in suite.cases()]
    if not cases:
        names = ", ".join(suite.subject.name for suite in suites)
        pytest.fail(
            f"no check is left of {names or 'no subject'}: the patterns of problems or claims match nothing that applies. "
            "fishergauge problems and fishergauge claims list the names",
            pytrace=False,
        )
    metafunc.parametrize("fishergauge_case", cases)
    gathered(metafunc.config).suites += [suite.summary() for suite in suites]
