"""Executing a probe: build the problem, measure, judge the finding, and write it down."""

import importlib
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fishergauge.reference import Problem, ProblemError, UndefinedError, UnsupportedError
from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.claim import NotHere
from fishergauge.suites.execution import MALFORMED, REFUSE, notes_of
from fishergauge.suites.own_line import reason_of
from fishergauge.suites.probes.held_memory import HeldMemory
from fishergauge.suites.probes.plan import Build, ProbeOptions
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.record import Verdict
from fishergauge.suites.selection import DTYPES, Check
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import TAGS, tags_of
from fishergauge.suites.versions import versions
from fishergauge.suites.zoo.declared import untrue_facts

MOST_STOPPED = 2
"""Calls of a subject on a problem that may be stopped before the rest is not tried any more."""
NO_MEMORY = ("can't allocate memory", "not enough memory", "OutOfMemoryError", "MemoryError")
"""In what torch and numpy say when there is no more memory, on a CPU or a GPU."""
FACTS_UP_TO = 100_000
"""Parameters up to which the declared facts of a user's problem are tested."""


@dataclass(frozen=True)
class NotBuilt:
    """A problem that could not be made; the reason is for people."""

    reason: str


@dataclass
class _Open:
    """The problem that is worked on."""

    case: ProbeCase
    memory: HeldMemory
    stopped: int = 0


class ProbeExecutor:
    """Executes the probes of one subject in this process, problem by problem; one problem is kept at a time.

    Args:
        subject: under test.
        options: of the run.
        builders: of the problems, by name.
        probes: by id.
        command: with which a person repeats a probe, up to the selection.
        declared: names of problems whose declared facts are tested, as they are the user's own.
    """

    def __init__(
        self,
        subject: Subject,
        options: ProbeOptions,
        builders: Mapping[str, Build],
        probes: Mapping[str, Probe],
        command: str = "",
        declared: frozenset[str] = frozenset(),
    ) -> None:
        self.subject, self.options, self.builders, self.probes = subject, options, builders, probes
        self.command, self.declared = command, declared
        self._name = ""
        self._open: _Open | NotBuilt | None = None
        self._versions = versions()
        # torch.func imports it at its first derivative; stopped in the middle of that, it would stay broken in this process
        importlib.import_module("torch._dynamo")

    def run(self, check: Check) -> ProbeRecord | NotBuilt:
        """The record of a probe on a problem, or why there is no such problem."""
        if check.problem != self._name:
            self._open = None  # let go of the old one first
            self._open, self._name = self._opened(check.problem), check.problem
        if not isinstance(self._open, _Open):
            return self._open or NotBuilt("it was not built")
        opened, case, probe = self._open, self._open.case, self.probes[check.claim]
        started, before, exact = time.perf_counter(), case.products, case.exact_products
        case.outcomes.clear()
        record, peak = opened.memory.measured(lambda: self._measured(check, probe, opened))
        notes = tuple(dict.fromkeys((*record.notes, *notes_of(case.outcomes))))
        return replace(
            record,
            notes=notes,
            seconds=time.perf_counter() - started,
            products=case.products - before,
            exact_products=case.exact_products - exact,
            peak_bytes=peak,
        )

    def given_up(self, check: Check, reason: str) -> ProbeRecord:
        """The record of a probe whose process ended or did not react."""
        record = self._record(check, self.probes[check.claim], 0)
        return replace(record, verdict="error", reason=reason, again=check.again(self.command, "probes"))

    def _opened(self, name: str) -> _Open | NotBuilt:
        options = self.options
        memory = HeldMemory(options.device)
        try:
            problem, _ = memory.measured(lambda: self.builders[name](DTYPES[options.dtype], options.device, options.seed))
            untrue = untrue_facts(problem) if name in self.declared and problem.num_parameters <= FACTS_UP_TO else ()
            if untrue:
                raise ProblemError(f"it declares what it is not: {'; '.join(untrue)}. Correct its Facts")
            tags = tags_of(problem)
        except Exception as error:
            known = isinstance(error, ProblemError | UnsupportedError)
            return NotBuilt(str(error) if known else reason_of(error))
        return _Open(ProbeCase(self.subject, problem, tags, options.limit, options.seed), memory)

    def _measured(self, check: Check, probe: Probe, opened: _Open) -> ProbeRecord:
        """The record without what is counted."""
        case, made = opened.case, probe.made_by(self.subject)
        record = self._record(check, probe, case.problem.num_parameters)
        lacking = _lacking(probe, case.tags, self.subject)
        if lacking:
            return replace(record, verdict="not-claimed", reason=f"nothing to measure here: {lacking}")
        if opened.stopped >= MOST_STOPPED:
            reason = f"not tried, as {MOST_STOPPED} calls of the subject on this problem were stopped; allow more by --limit"
            return replace(
                record, verdict="error" if made else "not-claimed", reason=reason, again=check.again(self.command, "probes")
            )
        try:
            case.raw()  # where it fails, nothing of the reference is computed for it
            finding = probe.measure(case)
        except NotHere as reason:
            return replace(record, verdict="not-claimed", reason=f"nothing to measure here: {reason}")
        except SubjectFailed as failed:
            opened.stopped += failed.failure.kind == "timeout"
            return self._failed(record, failed, made, check)
        except (UndefinedError, UnsupportedError, ProblemError) as error:
            return replace(record, verdict="not-claimed", reason=f"the reference has nothing to compare with: {error}")
        except Exception as error:  # the kit's own: said, and red, but the run goes on
            said = "".join(traceback.format_exception(error)[-2:]).strip()
            return replace(record, verdict="error", reason=f"fishergauge itself failed here, not the subject: {said}")
        return self._judged(record, finding, made, check)

    def _record(self, check: Check, probe: Probe, size: int) -> ProbeRecord:
        return ProbeRecord(
            self.subject.name,
            probe.id,
            check.problem,
            check.dtype,
            check.device,
            check.seed,
            source=probe.source,
            versions=self._versions,
            num_parameters=size,
        )

    def _failed(self, record: ProbeRecord, failed: SubjectFailed, made: bool, check: Check) -> ProbeRecord:
        kind, reason = failed.failure.kind, failed.failure.reason
        if not made:
            return replace(record, verdict="not-claimed", reason=reason)
        verdict: Verdict = "unsupported" if kind in ("unsupported", "undefined") else "error"
        if kind == "error" and not reason.startswith(MALFORMED):
            reason += f". {_remedy(reason, record)}"
        again = check.again(self.command, "probes") if verdict == "error" else ""
        return replace(record, verdict=verdict, reason=reason.removeprefix(MALFORMED), again=again)

    def _judged(self, record: ProbeRecord, finding: ProbeFinding, made: bool, check: Check) -> ProbeRecord:
        record = replace(
            record,
            measured=finding.measured,
            bound=finding.bound,
            formula=finding.formula,
            notes=(finding.note,) if finding.note else (),
            power=finding.power,
            seen=finding.seen,
            estimate=finding.estimate,
            interval=finding.interval,
        )
        if not made:
            return replace(record, verdict="not-claimed")
        if finding.holds:
            return record
        return replace(record, verdict="violated", witness=finding.witness, again=check.again(self.command, "probes"))


def _remedy(reason: str, record: ProbeRecord) -> str:
    """What to do about an exception of the subject."""
    if any(sign in reason for sign in NO_MEMORY):
        size = DTYPES[record.dtype].itemsize * record.num_parameters**2 / 1e9
        return f"An array (P, P) of this problem has {size:,.3g} GB: return an operator that multiplies in its place"
    return REFUSE


def as_it_is(problem: Problem) -> Build:
    """A function that gives a problem that exists already."""
    return lambda dtype, device, seed: problem


def _lacking(probe: Probe, tags: frozenset[str], subject: Subject) -> str:
    """Why the probe has no content on a problem with these tags; empty where it has."""
    if probe.applies_to(tags, subject):
        return ""
    missing = [TAGS.get(tag, tag) for tag in sorted(probe.requires - tags)]
    missing += [f"not: {TAGS.get(tag, tag)}" for tag in sorted(probe.excludes & tags)]
    return f"it takes a problem of another kind ({'; '.join(missing) or TAGS['likelihood']})"
