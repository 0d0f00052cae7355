"""A claim about to enter the ledger: its wording, its measurements, and how it was judged."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from fishergauge.reports.ledger import LedgerEntry


class Judgement(NamedTuple):
    """A verdict and its reason."""

    verdict: str
    reason: str


class Claim(NamedTuple):
    """The parts of a ledger entry that do not depend on where it stands."""

    statement: str
    published: str
    as_published: str
    as_it_should_be: str
    judged: Judgement
    figures: Mapping[str, float]

    def entry(self, experiment: str, number: int, data: str, source: str) -> LedgerEntry:
        """The entry of the ledger; figures that are not numbers, such as the spread of one seed, are left out.

        Args:
            experiment: for example ``"e1"``.
            number: of the claim within the experiment.
            data: name of the data set.
            source: where the claim is made.

        Returns:
            The entry.
        """
        figures = {name: float(value) for name, value in self.figures.items() if not math.isnan(float(value))}
        identifier = f"{experiment.upper()}.{number}"
        measured = (self.published, self.as_published, self.as_it_should_be)
        return LedgerEntry(identifier, experiment, data, self.statement, source, *measured, *self.judged, figures)
