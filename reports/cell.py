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
        experiment: ``"e1"`` to ``"e4"``.
        protocol: ``"baseline"`` (the notebook's algorithm, for timing), ``"published"`` (the notebook's
            protocol) or ``"corrected"`` (a protocol that could refute the claim).
        data: name of a data set, see :mod:`fishergauge.reports.data`.
        seed: of the initial parameters.
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
