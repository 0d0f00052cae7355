"""The record of one check: a claim on a problem in one dtype on one device, with its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

Verdict = Literal["holds", "violated", "expected", "unexpected", "unsupported", "error", "not-claimed"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
RED: frozenset[str] = frozenset({"violated", "unexpected", "error"})
SCHEMA = 1

Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Record:
    """What one check found; the schema of a line of a records file.

    Args:
        subject: name of the subject.
        claim: id of the claim, such as ``"T4"``.
        problem: name of the problem.
        dtype: ``"float64"`` or ``"float32"``.
        device: ``"cpu"``, ``"cuda"``, ...
        seed: of the run.
        verdict: one of :data:`VERDICTS`.
        measured: the deviation (or statistic), None where there is none.
        bound: what it may be.
        formula: of the bound, in words.
        reason: why the verdict is what it is, for people.
        source: of the claim.
        witness: where the deviation sits: parameter block, entry, ratio.
        nearest: the nearest planted defect and the next, with relative distances.
        again: the command that repeats exactly this check.
        notes: what was contained: prints, warnings, changes of state.
        seconds: spent on the check.
        flops: of one call of the subject on this problem, where they were counted.
        versions: of Python and of the packages that the result depends on.
    """

    subject: str
    claim: str
    problem: str
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    verdict: Verdict = "holds"
    measured: float | None = None
    bound: float | None = None
    formula: str = ""
    reason: str = ""
    source: str = ""
    witness: str = ""
    nearest: str = ""
    again: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    flops: int | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What identifies the check between runs."""
        return self.subject, self.claim, self.problem, self.dtype, self.device

    @property
    def red(self) -> bool:
        """Whether the verdict fails a run."""
        return self.verdict in RED

    @property
    def empty(self) -> bool:
        """Whether the claim had no content here: nothing was claimed and nothing measured."""
        return self.verdict == "not-claimed" and self.measured is None

    @property
    def slack(self) -> float | None:
        """measured / bound: the share of the bound that was used; None where either is missing."""
        if self.measured is None or self.bound is None:
            return None
        if self.bound == 0:
            return 0.0 if self.measured == 0 else float("inf")
        return self.measured / self.bound

    def as_dict(self) -> dict[str, Any]:
        """The fields in order, with ``schema`` first and ``slack`` after ``bound``."""
        line: dict[str, Any] = {"schema": SCHEMA}
        for item in fields(self):
            line[item.name] = getattr(self, item.name)
            if item.name == "bound":
                line["slack"] = self.slack
        line["notes"] = list(self.notes)
        line["versions"] = dict(self.versions)
        return line
