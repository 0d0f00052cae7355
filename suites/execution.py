"""Executing a check: measure the claim, judge the finding, explain it, and write it down."""

import importlib
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from fishergauge.reference import Problem, ProblemError, UndefinedError, UnsupportedError
from fishergauge.suites.case import Case, SubjectFailed
from fishergauge.suites.claim import Claim, Finding, NotHere
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.explanation import explained
from fishergauge.suites.flop_counter import FlopCounter
from fishergauge.suites.guard import Outcome, fresh_copy, guarded
from fishergauge.suites.matrix import densified
from fishergauge.suites.quantity_cache import Fault, QuantityCache
from fishergauge.suites.record import Record, Verdict
from fishergauge.suites.selection import Check, Options, ProblemSet
from fishergauge.suites.subject import Subject
from fishergauge.suites.versions import versions

MALFORMED = "MalformedMatrix: "
REFUSE = "Where it does not support a problem, let it raise NotImplementedError"
"""What to do about an exception of the subject."""


class Executor:
    """Executes checks of one subject in this process; what is computed for a problem is computed once.

    Args:
        subject: under test.
        options: of the run.
        problems: of the run.
        command: with which a person repeats a check, up to the selection.
        fault: a change of the reference quantities, to plant a mistake that subject and reference share.
        quantities: shared with other executors on the same problems.
        explain: whether to name the nearest planted defect of a violated check.
    """

    def __init__(
        self,
        subject: Subject,
        options: Options,
        problems: ProblemSet | None = None,
        command: str = "",
        fault: Fault | None = None,
        quantities: QuantityCache | None = None,
        explain: bool = True,
    ) -> None:
        self.subject = subject
        self.options = options
        self.problems = problems if problems is not None else ProblemSet(options)
        self.command = command
        self.explain = explain
        self.quantities = quantities if quantities is not None else QuantityCache(fault)
        self._cases: dict[str, Case] = {}
        self._hangs: list[str] = []
        self._versions = versions()
        # torch.func imports it at its first derivative; stopped in the middle of that, it would stay broken in this process
        importlib.import_module("torch._dynamo")

    def run(self, check: Check) -> Record:
        """The record of a check."""
        claim, case = CLAIMS[check.claim], self._case(check.problem)
        case.begin()
        started = time.perf_counter()
        made = claim.made_by(self.subject)
        record = self._record(check, claim)
        try:
            finding = claim.measure(case)
        except NotHere as reason:
            record = replace(record, verdict="not-claimed", reason=f"nothing to measure here: {reason}")
        except SubjectFailed as failed:
            record = self._failed(record, failed, made)
        except (UndefinedError, UnsupportedError, ProblemError) as error:
            record = replace(record, verdict="not-claimed", reason=f"the reference has nothing to compare with: {error}")
        except Exception as error:  # the kit's own: said, and red, but the run goes on
            said = "".join(traceback.format_exception(error)[-2:]).strip()
            record = replace(record, verdict="error", reason=f"fishergauge itself failed here, not the subject: {said}")
        else:
            record = self._judged(record, claim, finding, made, case)
        notes = tuple(dict.fromkeys((*record.notes, *notes_of(case.outcomes))))
        flops = self._flops(case) if claim.counts and record.verdict == "holds" else None
        return replace(record, seconds=time.perf_counter() - started, notes=notes, flops=flops)

    def given_up(self, check: Check, reason: str) -> Record:
        """The record of a check whose process ended or did not react."""
        record = self._record(check, CLAIMS[check.claim])
        return replace(record, verdict="error", reason=reason, again=check.again(self.command))

    def _case(self, name: str) -> Case:
        if name not in self._cases:
            options = self.options
            self._cases[name] = Case(
                self.subject, self.problems[name], self.quantities, options.limit, options.seed, self._hangs
            )
        return self._cases[name]

    def _record(self, check: Check, claim: Claim) -> Record:
        return Record(
            self.subject.name,
            check.claim,
            check.problem,
            check.dtype,
            check.device,
            check.seed,
            source=claim.source,
            versions=self._versions,
        )

    def _failed(self, record: Record, failed: SubjectFailed, made: bool) -> Record:
        kind, reason = failed.failure.kind, failed.failure.reason
        verdict: Verdict = "unsupported" if kind in ("unsupported", "undefined") else "error"
        if not made:
            return replace(record, verdict="not-claimed", reason=reason)
        again = _check_of(record).again(self.command) if verdict == "error" else ""
        if kind == "error" and not reason.startswith(MALFORMED):
            reason += f". {REFUSE}"
        return replace(record, verdict=verdict, reason=reason.removeprefix(MALFORMED), again=again)

    def _judged(self, record: Record, claim: Claim, finding: Finding, made: bool, case: Case) -> Record:
        notes = (finding.note,) if finding.note else ()
        record = replace(record, measured=finding.measured, bound=finding.bound, formula=finding.formula, notes=notes)
        if not made:
            return replace(record, verdict="not-claimed")
        if finding.holds:
            return record
        return replace(
            record,
            verdict="violated",
            witness=finding.witness,
            nearest=explained(case) if self.explain else "",
            again=_check_of(record).again(self.command),
        )

    def _flops(self, case: Case) -> int | None:
        """Floating-point operations of one call, products of an operator with all unit vectors included; None if it fails."""
        copy = fresh_copy(case.problem)
        outcome = guarded(_counted, case, copy, limit=self.options.limit)
        return outcome.value if outcome.failure is None else None


def _counted(case: Case, problem: Problem) -> int:
    with FlopCounter() as counter:
        value: Any = case.build(problem)
        if not isinstance(value, Tensor):
            densified(value, problem)
    return int(counter.get_total_flops())


def _check_of(record: Record) -> Check:
    return Check(record.claim, record.problem, record.dtype, record.device, record.seed)


def notes_of(outcomes: Sequence[Outcome]) -> list[str]:
    """What was contained in the calls of a check."""
    notes = []
    for outcome in outcomes:
        if outcome.printed.strip():
            lines = outcome.printed.strip().splitlines()
            more = f" ({len(lines)} lines)" if len(lines) > 1 else ""
            notes.append(f"the subject printed {lines[0][:100]!r}{more}")
        notes += [f"the subject warned: {text[:200]}" for text in outcome.warned]
    return notes
