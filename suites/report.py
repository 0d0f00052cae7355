"""What a run found: the records of all checks, and what follows from them for the run as a whole."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fishergauge.suites.claim import Claim
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.closeness import ClaimViolated
from fishergauge.suites.record import VERDICTS, Record
from fishergauge.suites.subject import Subject
from fishergauge.suites.table import report_text

EXECUTED = frozenset({"holds", "violated", "expected", "unexpected", "error"})


@dataclass(frozen=True)
class Report:
    """The outcome of :func:`~fishergauge.suites.conformance.check`.

    Args:
        subject: that was examined.
        records: of all checks, problem by problem.
        vacuous: claims that no check executed, and why.
        complaints: what else fails the run: expected failures that are out of date.
        seconds: that the run took.
    """

    subject: Subject
    records: tuple[Record, ...]
    vacuous: Mapping[str, str] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Number of checks by verdict, in the order of the verdicts."""
        found = Counter(record.verdict for record in self.records)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}

    @property
    def red(self) -> tuple[Record, ...]:
        """The records that fail the run."""
        return tuple(record for record in self.records if record.red)

    @property
    def exit_code(self) -> int:
        """1 if a check is red or there is a complaint, 3 if a claim is vacuous, else 0."""
        if self.red or self.complaints:
            return 1
        return 3 if self.vacuous else 0

    def text(self, color: bool = False, full: bool = False) -> str:
        """Table, messages and summary; ``full`` gives each check its own message."""
        return report_text(self.records, CLAIMS, self.seconds, self.vacuous, self.complaints, color, full)

    def require(self) -> None:
        """Raise unless the exit code is 0.

        Raises:
            ClaimViolated: something is red, out of date or vacuous; the message says which, then that of :meth:`text`.
        """
        if self.exit_code:
            wrong = [f"{len(self.red)} checks are red"] if self.red else []
            wrong += [f"{len(self.complaints)} expected failures are out of date"] if self.complaints else []
            wrong += [f"{len(self.vacuous)} claims were not examined ({', '.join(self.vacuous)})"] if self.vacuous else []
            raise ClaimViolated(f"{self.subject.name}: {'; '.join(wrong)}\n{self.text()}")

    def __str__(self) -> str:
        return self.text()


def vacuous_claims(demanded: Sequence[Claim], records: Sequence[Record], named: bool = False) -> dict[str, str]:
    """Claims that no check executed, and why.

    A claim that is empty on every problem by the kit's own account (in float32 a bound may explain everything) is held
    against a run only if it was asked for by name.

    Args:
        demanded: claims that a run must examine.
        records: of the run, those without content included.
        named: whether the claims were asked for by name.
    """
    found = {}
    for claim in demanded:
        own = [record for record in records if record.claim == claim.id]
        if claim.optional or any(record.verdict in EXECUTED for record in own):
            continue
        if not own:
            found[claim.id] = "none of the selected problems is of the kind that it speaks of"
            continue
        if not named and all(record.empty and not record.reason.startswith("NotImplementedError") for record in own):
            continue
        telling = [record for record in own if not record.empty] or own  # what the subject said, before what the kit said
        (verdict, reason), count = Counter((record.verdict, record.reason) for record in telling).most_common(1)[0]
        found[claim.id] = (
            f"not executed on any of {len(own)} problems; on {count} of them: {verdict}, {reason}. If the subject is not meant "
            f"for these problems, let it say so: disclaims=[{claim.id!r}]"
        )
    return found


def idle_claims(records: Sequence[Record]) -> set[str]:
    """Optional claims that no check executed; there is nothing to say of them."""
    executed = {record.claim for record in records if record.verdict in EXECUTED}
    return {id for id, claim in CLAIMS.items() if claim.optional} - executed
