"""The ledger of claims: what the paper says, what its protocol measures, what a fair protocol measures, the verdict."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from fishergauge.suites.jsonable import jsonable

PAPER = (
    'HIDEKI, "Natural Gradient Descent: Characterizing Local Efficiency and Coordinate Invariance in Controlled Settings", '
    "2026, doi 10.5281/zenodo.18163401"
)
GGN_EXPERIMENTS = "README of GGNExperiments, experiments with generalised Gauss-Newton for NGD and LLA"
COURSE = 'course module "Natural Gradient Methods"'
VERDICTS = ("confirmed", "refuted", "not testable as published")
CONDITIONAL = "confirmed only if "


@dataclass(frozen=True)
class LedgerEntry:
    """One claim on one data set, judged.

    Args:
        id: for example ``"E4.1"``; unique within a data set.
        experiment: a name of :mod:`fishergauge.reports.experiments`.
        data: name of the data set, or what else the measurement was made on.
        statement: the claim, in one sentence.
        source: where it is made.
        published: the paper's figure, quoted.
        as_published: our measurement by the notebook's protocol.
        as_it_should_be: our measurement by a protocol that could refute the claim.
        verdict: one of :data:`VERDICTS`, or ``"confirmed only if ..."``; computed from the figures by a rule.
        reason: why, in a sentence or three.
        figures: the numbers the rule used, by name.

    Raises:
        ValueError: the verdict is none of the above.
    """

    id: str
    experiment: str
    data: str
    statement: str
    source: str
    published: str
    as_published: str
    as_it_should_be: str
    verdict: str
    reason: str
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS and not re.match(f"{CONDITIONAL}.", self.verdict):
            raise ValueError(f"{self.verdict!r} is no verdict; use one of {VERDICTS} or {CONDITIONAL + '...'!r}")


def write_ledger(entries: Sequence[LedgerEntry], out: Path, appendix: str = "", remarks: Sequence[str] = ()) -> list[Path]:
    """Write the ledger as table, page and data.

    Args:
        entries: in any order; they are written by id, then data set.
        out: an existing folder.
        appendix: Markdown that follows the claims in ``claims.md``, such as the table of costs.
        remarks: what a reader must know of the run before trusting a verdict, such as that it was a quick one.

    Returns:
        The paths of ``claims.csv``, ``claims.md`` and ``claims.json``.

    Raises:
        ValueError: two entries share id and data set.
    """
    ordered = sorted(entries, key=_place)
    names = [(entry.id, entry.data) for entry in ordered]
    if len(set(names)) < len(names):
        raise ValueError(f"ledger entries must differ in id or data set: {names}")
    paths = [out / "claims.csv", out / "claims.md", out / "claims.json"]
    with paths[0].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([f.name for f in fields(LedgerEntry)])
        for entry in ordered:
            row = {**asdict(entry), "figures": json.dumps(jsonable(entry.figures), sort_keys=True)}
            writer.writerow(row.values())
    paths[1].write_text(_page(ordered, appendix, remarks), encoding="utf-8")
    content = {"schema": 1, "remarks": list(remarks), "claims": [jsonable(asdict(entry)) for entry in ordered]}
    paths[2].write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return paths


def _place(entry: LedgerEntry) -> tuple[str, int, str, str]:
    """Where an entry stands: by experiment and number, the tenth behind the ninth."""
    experiment, _, number = entry.id.partition(".")
    return experiment, int(number) if number.isdigit() else 0, number, entry.data


def _page(entries: Sequence[LedgerEntry], appendix: str, remarks: Sequence[str]) -> str:
    """The ledger as Markdown: an overview, then each claim with its evidence."""
    lines = ["# Ledger of claims", ""]
    for remark in remarks:
        lines += [f"> {remark}", ""]
    lines += ["| claim | data | statement | verdict |", "| --- | --- | --- | --- |"]
    lines += [f"| {e.id} | {e.data} | {_cell(e.statement)} | **{_cell(e.verdict)}** |" for e in entries]
    for entry in entries:
        lines += ["", f"## {entry.id} on {entry.data}: {entry.verdict}", "", entry.statement, ""]
        lines += [f"- **Source:** {entry.source}", f"- **Published:** {entry.published}"]
        lines += [f"- **As published, measured here:** {entry.as_published}"]
        lines += [f"- **As it should be:** {entry.as_it_should_be}", f"- **Why:** {entry.reason}"]
        if entry.figures:
            lines += ["", "| figure | value |", "| --- | --- |"]
            lines += [f"| {_cell(name)} | {value:.6g} |" for name, value in entry.figures.items()]
    return "\n".join(lines) + "\n" + (f"\n{appendix.strip()}\n" if appendix.strip() else "")


def _cell(text: str) -> str:
    """Text that keeps to its cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
