"""A cell: the smallest unit of work of an experiment, computed once and kept."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from fishergauge.reports.code_version import code_version

SCHEMA = 1

Record = dict[str, Any]
"""What a cell yields: JSON-able, with at least ``rows``, a list of flat dictionaries, one a row of a table."""


@dataclass(frozen=True)
class Cell:
    """One protocol of one experiment on one data set with one seed.

    Args:
        experiment: a name of :mod:`fishergauge.reports.experiments`, such as ``"e4"``.
        protocol: ``"baseline"`` (the notebook's algorithm, for timing), ``"published"`` (the source's
            protocol), ``"corrected"`` (a protocol that could refute the claim), or ``"timed"`` (measures time in another way
            than against a baseline).
        data: name of a data set, see :mod:`fishergauge.reports.data`; that of the experiment itself where its data belong to
            no other. Results are grouped by it, and it names the folder of the artefacts.
        seed: of the initial parameters, or of whatever is drawn.
        settings: everything else that determines the result, as pairs of name and value.

    Example:
        >>> Cell("e4", "published", "synthetic", 0).label
        'e4 published synthetic seed 0'
    """

    experiment: str
    protocol: str
    data: str
    seed: int
    settings: tuple[tuple[str, int | float | str], ...] = ()

    @property
    def key(self) -> str:
        """A digest of everything that determines the result, the code included."""
        content = {"schema": SCHEMA, "code": code_version(), **asdict(self), "settings": sorted(self.settings)}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def label(self) -> str:
        """How a progress bar or a message calls the cell."""
        settings = "".join(f", {name} {value}" for name, value in self.settings)
        return f"{self.experiment} {self.protocol} {self.data} seed {self.seed}{settings}"
