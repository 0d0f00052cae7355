"""Where an approximation equals another one on a model and data, and is predicted as that one."""

from collections.abc import Sequence

from fishergauge.reports.spectrum_section import Section
from fishergauge.suites.spectrum.row import COINCIDES, Row
from fishergauge.suites.wording import number, some

KINDS = 3  # named on a terminal


def coincides(row: Row) -> bool:
    """Whether a row is predicted by what its matrix coincides with, in both coordinates."""
    return row.source.startswith(COINCIDES)


def coincidence_section(rows: Sequence[Row]) -> Section:
    """What coincides with what, on which model and data, and under which families it is predicted by that.

    Args:
        rows: of a spectrum.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if coincides(row):
            other = row.source.removeprefix(COINCIDES).partition(";")[0]
            groups.setdefault((row.approximation, other, row.model, row.data, row.dtype), []).append(row)
    table = []
    for key, group in groups.items():
        largest = number(max(row.kappa for row in group), 1)
        table.append([*key, ", ".join(dict.fromkeys(row.family for row in group)), largest])
    head = ["approximation", "equals", "model", "data", "precision", "families", "kappa up to"]
    above = (
        "Matrices that no theorem predicts to be invariant there, and that are equal to one which is, in both coordinates: the "
        "prediction is that of the other."
    )
    return Section("Coincidences", head, table, [above] if table else [])


def coincidence_line(rows: Sequence[Row]) -> str:
    """The same in a sentence; empty if nothing coincides.

    Args:
        rows: of a spectrum.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for name, other, model, data, *_ in coincidence_section(rows).rows:
        found.setdefault((other, model, data), []).append(name)
    if not found:
        return ""
    kinds = [f"{some(names, KINDS)} = {other} ({model}, {data})" for (other, model, data), names in found.items()]
    left = f"; {len(kinds) - 1} more in spectrum.md" if len(kinds) > 1 else ""
    return f"Coincidences, predicted as what they equal: {kinds[0]}{left}."
