"""The records of the experiment on the vector field, gathered and summed up."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fishergauge.reports.cell import Record
from fishergauge.reports.experiment import Results
from fishergauge.reports.gauss_newton.vector_field_paths import METHODS, PUBLISHED_READINGS, READINGS

Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What the cells have measured.

    Args:
        published: record of the published protocol; empty if it is missing.
        drawn: record of several data sets.
        sampled: record of several numbers of samples.
    """

    published: Record = field(default_factory=dict)
    drawn: Record = field(default_factory=dict)
    sampled: Record = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all three are there."""
        return bool(self.published and self.drawn and self.sampled)

    @property
    def paths(self) -> list[Row]:
        """A row a path of the published protocol."""
        return list(self.published.get("rows", []))

    @property
    def drawn_paths(self) -> list[Row]:
        """A row a path on the other data sets."""
        return list(self.drawn.get("rows", []))

    @property
    def grid(self) -> list[Row]:
        """A row a point of the grid, on the published data."""
        return list(self.published.get("field", []))

    @property
    def samples(self) -> list[Row]:
        """A row a data set, by number of samples."""
        return list(self.sampled.get("rows", []))

    @property
    def population(self) -> Mapping[str, float]:
        """Figures of infinitely many samples."""
        return {row["what"]: row["value"] for row in self.sampled.get("population", [])}


def found_in(results: Results) -> Found:
    """The records by study."""
    by_study = {dict(cell.settings)["study"]: record for cell, record in results}
    return Found(by_study.get("paths", {}), by_study.get("draws", {}), by_study.get("samples", {}))


def column(rows: Iterable[Row], name: str, **where: Any) -> list[float]:
    """One column of the rows that match."""
    return [float(row[name]) for row in rows if all(row[key] == value for key, value in where.items())]


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def distances_by_count(samples: Iterable[Row], place: str) -> dict[int, float]:
    """Median distance of the empirical Fisher from the Hessian, by number of samples."""
    rows = list(samples)
    counts = sorted({row["samples"] for row in rows})
    return {count: statistics.median(column(rows, "distance", samples=count, place=place)) for count in counts}


def summary_of(found: Found) -> dict[str, Any]:
    """Figures by method and reading: straightness, steps, angles over the grid, and distances between matrices."""
    summary: dict[str, Any] = {}
    for title, rows in (("published", found.paths), ("draws", found.drawn_paths)):
        for method in METHODS:
            for reading in READINGS:
                own = [row for row in rows if row["method"] == method and row["reading"] == reading]
                if own:
                    summary[f"{title}: {method}, {reading}"] = {
                        "paths": len(own),
                        "largest arc over chord - 1": max(column(own, "arc_over_chord")),
                        "largest distance from the line": max(column(own, "bow")),
                        "median distance from the line": statistics.median(column(own, "bow")),
                        "steps to 1e-6, least": min(column(own, "steps")),
                        "steps to 1e-6, most": max(column(own, "steps")),
                    }
    for title, rows in (("published", found.grid), ("draws", list(found.drawn.get("field", [])))):
        if rows:
            names = [f"{method}_angle" for method in METHODS] + ["distance", "scaled_distance", "eigenvector_angle"]
            summary[f"grid, {title}"] = {
                name: {f"{share:.0%}": quantile(column(rows, name), share) for share in (0.0, 0.5, 0.95, 1.0)} for name in names
            }
    for place in ("truth", "optimum"):
        if found.samples:
            summary[f"empirical Fisher at the {place}, by samples"] = distances_by_count(found.samples, place)
    return summary | {
        "step": found.published.get("step"),
        "readings of the prior, published": dict(PUBLISHED_READINGS),
        "optimum": found.published.get("optimum"),
        "optimum without prior": found.published.get("likelihood_optimum"),
        "steps at full length": found.drawn.get("whole", []),
        "infinitely many samples": dict(found.population),
        "ggn against hessian": found.published.get("ggn", []),
        "split": found.published.get("split", []),
    }
