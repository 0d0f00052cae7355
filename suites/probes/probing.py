"""The verdict on a subject by products: its probes on problems of any size, each problem in a process of its own."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from fishergauge.reference import Problem, ProblemError
from fishergauge.suites.one_thread import one_thread
from fishergauge.suites.probes.execution import NotBuilt, ProbeExecutor, as_it_is
from fishergauge.suites.probes.large.catalogue import LARGE
from fishergauge.suites.probes.plan import Build, ProbeOptions, as_claim, chosen_probes, chosen_problems
from fishergauge.suites.probes.probe import Probe
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.probes.registry import PROBES
from fishergauge.suites.probes.report import ProbeReport
from fishergauge.suites.report import vacuous_claims
from fishergauge.suites.selection import Check
from fishergauge.suites.subject import as_subject
from fishergauge.suites.workers import run_isolated, why_not_isolated

PATIENCE = 240.0
"""Seconds beyond the limit that the reference may take between two signs of life."""
MOST_DEATHS = 2
"""Processes that a subject may take with it on a problem before the rest of the probes is given up."""

Result = ProbeRecord | NotBuilt


def probe(
    subject: object,
    problem: Problem | None = None,
    *,
    problems: str = "*",
    size: str = "",
    probes: str = "*",
    dtype: str = "float64",
    device: str = "cpu",
    seed: int = 0,
    quick: bool = False,
    limit: float = 60.0,
    problem_files: Sequence[str | Path] = (),
    isolate: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
    command: str = "",
    catalogue: Mapping[str, Probe] = PROBES,
) -> ProbeReport:
    """Judge a subject by its products, on problems of any size: nothing of size P x P is formed.

    Args:
        subject: a :class:`~fishergauge.suites.subject.Subject`, or a callable ``Problem -> matrix``, which counts as a
            dense Fisher. All that is asked of the matrix is ``shape`` and ``@``.
        problem: one of your own; without it, those of the catalogue of large problems that the next two arguments choose.
        problems: globs of names, separated by commas.
        size: ``"1e4"``, ``"1e5"``, ``"1e6"`` or ``"1e7"`` parameters.
        probes: globs of ids, or of the claims whose place the probes take, separated by commas.
        dtype: ``"float64"`` or ``"float32"``; a problem that is given has its own.
        device: ``"cpu"``, ``"cuda"``, ...; a problem that is given has its own.
        seed: of data, parameters and draws.
        quick: the first problem of a size alone.
        limit: seconds that one call of the subject may take.
        problem_files: Python files with problems of your own.
        isolate: whether each problem has a process of its own, which the subject may crash. Without, all run in this one.
        progress: called with the number of probes done, of all, and the problem.
        command: with which a person repeats a probe, for the messages.
        catalogue: the probes to choose from.

    Returns:
        The report; ``print`` shows it, ``require()`` raises if something is red.

    Raises:
        SubjectError: it is no subject.
        ProblemError: a problem of your own cannot be used, or none is left.

    Example:
        >>> from fishergauge.reference import Problem, ggn
        >>> import torch
        >>> from torch import nn
        >>> problem = Problem(nn.Linear(30, 2), nn.MSELoss(), [(torch.ones(4, 30), torch.zeros(4, 2))])
        >>> report = probe(ggn, problem, isolate=False)
        >>> report.exit_code
        0
    """
    subject = as_subject(subject, "subject")
    if problem is not None:
        dtype, device = str(problem.dtype).removeprefix("torch."), problem.device.type
    options = ProbeOptions(problems, size, probes, dtype, device, seed, quick, limit, tuple(problem_files))
    started = time.perf_counter()
    name = (problem.name if problem is not None else "") or "problem"
    builders = chosen_problems(options) if problem is None else {name: as_it_is(problem)}
    chosen = chosen_probes(subject, options, catalogue)
    declared = frozenset(builders) - LARGE.keys()
    executor = ProbeExecutor(subject, options, builders, catalogue, command, declared)
    with one_thread():
        records, left_out = _run(executor, builders, chosen, isolate, progress)
    wrong = {name: why for name, why in left_out.items() if name in declared}
    if wrong or (left_out and not records):
        raise ProblemError("; ".join(f"the problem {name} cannot be built: {why}" for name, why in (wrong or left_out).items()))
    made = [as_claim(one) for one in chosen if one.made_by(subject)]
    vacuous = vacuous_claims(made, records, probes != "*")
    told = tuple(record for record in records if not record.empty)
    if not told and not vacuous:
        vacuous = {"*": "no probe had anything to measure"}
    return ProbeReport(subject, told, vacuous, left_out, time.perf_counter() - started, catalogue)


def _run(
    executor: ProbeExecutor,
    builders: Mapping[str, Build],
    chosen: Sequence[Probe],
    isolate: bool,
    progress: Callable[[int, int, str], None] | None,
) -> tuple[list[ProbeRecord], dict[str, str]]:
    """The records, problem by problem, and the problems that could not be built."""
    options = executor.options
    records: list[ProbeRecord] = []
    left_out: dict[str, str] = {}
    total = len(builders) * len(chosen)
    for name in builders:
        checks = [Check(one.id, name, options.dtype, options.device, options.seed) for one in chosen]
        with closing(_results(executor, checks, isolate)) as results:
            for result in results:
                if isinstance(result, NotBuilt):
                    left_out[name] = result.reason
                    break
                records.append(result)
                if progress is not None:
                    progress(len(records), total, name)
    return records, left_out


def _results(executor: ProbeExecutor, checks: Sequence[Check], isolate: bool) -> Generator[Result, None, None]:
    """What comes of the probes of one problem."""
    if not isolate:
        for check in checks:
            yield executor.run(check)
        return
    left = list(checks)
    deaths: list[str] = []

    def given_up(check: Check, reason: str) -> Result:
        deaths.append(reason)
        return executor.given_up(check, reason)

    patience = executor.options.limit + PATIENCE
    with closing(run_isolated(executor.run, [checks], jobs=1, limit=patience, give_up=given_up)) as pairs:
        for check, result in pairs:
            left.remove(check)
            yield result
            if len(deaths) >= MOST_DEATHS:
                break
    for check in left:
        yield executor.given_up(check, f"not tried, as the process of this problem ended {len(deaths)} times: {deaths[-1]}")


__all__ = ["ProbeReport", "probe", "why_not_isolated"]
