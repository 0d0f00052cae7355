"""Expected failures applied to the records of a run: strict, with reasons, and never silently out of date."""

import datetime
import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fishergauge.suites.expectation import Expectation, of_file, of_subject
from fishergauge.suites.record import Record
from fishergauge.suites.subject import Subject

FILE = "fishergauge.toml"
EXECUTED = ("holds", "violated", "expected", "unexpected", "error")

Pair = tuple[str, str]


@dataclass(frozen=True)
class Expectations:
    """The expected failures of one subject.

    - A violated check that an entry names becomes ``expected``, with the entry's reason. A check in ``error`` stays red:
      a crash is no failure that anybody expected.
    - A check that holds although an entry spells it out (no globs in claim and problem) becomes ``unexpected``, which is red.
    - An entry with globs is used if at least one check that it matches is violated; those that hold then stay ``holds``.
      If all of them hold, all become ``unexpected``.
    - An entry with an empty reason, or past its date, excuses nothing and is a complaint. So is one that matches no executed
      check. A complaint counts as an error of the run.
    - What this run left out by its selection is not held against an entry: one that matches nothing but checks left out is
      passed over, and one with globs is not called unexpected as long as a check that it matches was left out.

    Args:
        subject: name of the subject.
        entries: those that concern it.
        names: names of claims by id; both can stand in an entry.
        today: for dates of expiry.
    """

    subject: str
    entries: tuple[Expectation, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    today: datetime.date = field(default_factory=datetime.date.today)

    @classmethod
    def load(cls, subject: Subject, path: Path | None = None, names: Mapping[str, str] | None = None) -> "Expectations":
        """Gather what the subject declares and what a file says of it.

        Args:
            subject: what is under test.
            path: a ``fishergauge.toml``; None: the subject's own entries alone.
            names: names of claims by id; those of the catalogue by default.

        Raises:
            ExpectationError: an entry is written wrongly, or the file cannot be read.
        """
        written = of_file(path) if path is not None else ()
        entries = (*of_subject(subject), *(entry for entry in written if entry.concerns(subject.name)))
        known = (catalogue() if entries else {}) if names is None else names
        return cls(subject.name, entries, known)

    def apply(self, records: Iterable[Record], left_out: Collection[Pair] = ()) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        """Judge the records of a run by the entries.

        Args:
            records: of the run; those of other subjects are returned as they are.
            left_out: claim and problem of each check that a run without ``--claims``, ``--problems`` and ``--quick`` would
                have made, and this one did not.

        Returns:
            The records in the same order with changed verdicts, and the complaints.

        Example:
            >>> known = Expectations("mine", (Expectation("T4", "bias is apart", problem="mlp", origin="mine.toml, entry 1"),))
            >>> records, complaints = known.apply([Record("mine", "T4", "mlp", verdict="violated")])
            >>> records[0].verdict, records[0].reason, complaints
            ('expected', 'expected: bias is apart', ())
        """
        judged = list(records)
        own = [index for index, record in enumerate(judged) if record.subject == self.subject]
        executed = [judged[index] for index in own]
        complaints: list[str] = []
        valid: list[tuple[Expectation, bool]] = []
        for entry in self.entries:
            matched = [record for record in executed if self._names(entry, record.claim, record.problem)]
            absent = any(self._names(entry, *pair) for pair in left_out)
            if not matched and absent:
                continue
            complaint = self._invalid(entry) or self._idle(entry, matched, executed, left_out, absent)
            if complaint:
                complaints.append(complaint)
            else:
                valid.append((entry, not absent and all(record.verdict == "holds" for record in _executed(matched))))
        for index in own:
            judged[index] = self._judged(judged[index], valid)
        return tuple(judged), tuple(complaints)

    def _judged(self, record: Record, entries: Sequence[tuple[Expectation, bool]]) -> Record:
        """A record in the light of the valid entries; with each, whether all that it matches holds."""
        for entry, idle in entries:
            if not self._names(entry, record.claim, record.problem):
                continue
            if record.verdict == "violated":
                text = f"expected: {entry.reason.strip()}{f' ({entry.issue})' if entry.issue else ''}"
                return replace(record, verdict="expected", reason=_joined(record.reason, text))
            spelt_out = entry.spells_out(record.claim, self.names.get(record.claim, ""), record.problem)
            if record.verdict == "holds" and (idle or spelt_out):
                text = f"declared to fail ({entry.reason.strip()}), but it holds: remove {entry}"
                return replace(record, verdict="unexpected", reason=_joined(record.reason, text))
        return record

    def _names(self, entry: Expectation, claim: str, problem: str) -> bool:
        return entry.names(claim, self.names.get(claim, ""), problem)

    def _invalid(self, entry: Expectation) -> str:
        if not entry.reason.strip():
            return f"{entry}: the reason is empty, so nothing is excused; say why the failure is accepted"
        if entry.expires is not None and self.today > entry.expires:
            return f"{entry}: expired on {entry.expires}, so nothing is excused; mend it, or set a later date"
        return ""

    def _idle(
        self, entry: Expectation, matched: Sequence[Record], records: Sequence[Record], left_out: Collection[Pair], absent: bool
    ) -> str:
        """A complaint about an entry that matches no executed check, or nothing."""
        if _executed(matched) or absent:
            return ""
        if matched:
            verdicts = " or ".join(sorted({record.verdict for record in matched}))
            return f"{entry}: the checks that it matches are {verdicts}, which needs no excuse; remove it"
        pairs = [*((record.claim, record.problem) for record in records), *left_out]
        return f"{entry}: matches no executed check; {self._hint(entry, pairs)}"

    def _hint(self, entry: Expectation, pairs: Sequence[Pair]) -> str:
        """What the entry may have meant."""
        if not pairs:
            return f"nothing was checked of {self.subject}"
        claims = {claim for claim, _ in pairs}
        meant = {claim for claim in claims if self._names(replace(entry, problem="*"), claim, "")}
        if not meant:
            if any(self._names(replace(entry, problem="*"), claim, "") for claim in self.names):
                return f"the claim {entry.claim} is not made of {self.subject}"
            known = sorted(claims | {self.names[claim] for claim in claims if claim in self.names})
            return f"no claim is called {entry.claim}; the nearest is {_nearest(entry.claim, known)}"
        problems = sorted({problem for claim, problem in pairs if claim in meant})
        return f"no problem of this claim is called {entry.problem}; the nearest is {_nearest(entry.problem, problems)}"


def _executed(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.verdict in EXECUTED]


def _joined(reason: str, text: str) -> str:
    return f"{reason}; {text}" if reason else text


def _nearest(name: str, known: Sequence[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]


def catalogue() -> Mapping[str, str]:
    """Names of all claims by id."""
    from fishergauge.suites.claims import CLAIMS

    return {claim.id: claim.name for claim in CLAIMS.values()}
