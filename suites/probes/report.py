"""What a run of probes found: the records, and what follows from them for the run as a whole."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fishergauge.suites.closeness import ClaimViolated
from fishergauge.suites.probes.probe import Probe
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.probes.registry import PROBES
from fishergauge.suites.probes.table import probe_text
from fishergauge.suites.record import VERDICTS
from fishergauge.suites.subject import Subject


@dataclass(frozen=True)
class ProbeReport:
    """The outcome of :func:`~fishergauge.suites.probe`.

    Args:
        subject: that was examined.
        records: of all probes that had something to measure, problem by problem.
        vacuous: probes that were executed on no problem, and why.
        left_out: problems that could not be made, and why.
        seconds: that the run took.
        probes: that were measured.
    """

    subject: Subject
    records: tuple[ProbeRecord, ...]
    vacuous: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    probes: Mapping[str, Probe] = field(default_factory=lambda: PROBES)

    @property
    def counts(self) -> dict[str, int]:
        """Number of probes by verdict, in the order of the verdicts."""
        found = Counter(record.verdict for record in self.records)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}

    @property
    def red(self) -> tuple[ProbeRecord, ...]:
        """The records that fail the run."""
        return tuple(record for record in self.records if record.red)

    @property
    def exit_code(self) -> int:
        """1 if a probe is red, 3 if one was executed on no problem, else 0."""
        if self.red:
            return 1
        return 3 if self.vacuous else 0

    def text(self, color: bool = False, full: bool = False) -> str:
        """Tables, estimates, memory, what cannot be seen, messages and summary.

        Args:
            color: whether to use ANSI colours.
            full: a message for every red probe, instead of one a cause.
        """
        return probe_text(self.records, self.probes, self.seconds, self.vacuous, self.left_out, color, full)

    def require(self) -> None:
        """Raise unless the exit code is 0.

        Raises:
            ClaimViolated: something is red or vacuous; the message says which, then that of :meth:`text`.
        """
        if self.exit_code:
            wrong = [f"{len(self.red)} probes are red"] if self.red else []
            wrong += [f"{len(self.vacuous)} probes were not executed ({', '.join(self.vacuous)})"] if self.vacuous else []
            raise ClaimViolated(f"{self.subject.name}: {'; '.join(wrong)}\n{self.text()}")

    def __str__(self) -> str:
        return self.text()
