"""Versions of the packages with which the parts of a report were measured, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

FIRST = ("python", "code", "fishergauge", "torch", "numpy", "scipy")
"""Packages at the top of the table, in this order."""


def version_rows(columns: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """A row for each package, with its version in every run.

    Args:
        columns: the versions of each run.

    Returns:
        Rows with ``name``, ``versions`` (empty where a run does not say) and ``differs``: whether two runs disagree.

    Example:
        >>> version_rows([{"torch": "2.13.0"}, {"torch": "2.12.0", "numpy": "2.4"}])[0]
        {'name': 'torch', 'versions': ['2.13.0', '2.12.0'], 'differs': True}
    """
    names = {name for column in columns for name in column}
    ordered = [name for name in FIRST if name in names] + sorted(names - set(FIRST), key=lambda name: (name.lower(), name))
    rows = []
    for name in ordered:
        versions = [column.get(name, "") for column in columns]
        rows.append({"name": name, "versions": versions, "differs": len({version for version in versions if version}) > 1})
    return rows


def disagreements(rows: Sequence[Mapping[str, Any]], titles: Sequence[str]) -> list[str]:
    """A sentence for each package that differs between runs.

    Args:
        rows: of :func:`version_rows`.
        titles: of the runs.

    Example:
        >>> disagreements(version_rows([{"torch": "2.13.0"}, {"torch": "2.12.0"}]), ["Spectrum", "Benchmarks"])
        ['torch is 2.13.0 in Spectrum, 2.12.0 in Benchmarks.']
    """
    said = []
    for row in rows:
        if row["differs"]:
            where: dict[str, list[str]] = {}
            for version, title in zip(row["versions"], titles, strict=True):
                if version:
                    where.setdefault(version, []).append(title)
            name = "The code of fishergauge" if row["name"] == "code" else row["name"]
            said.append(f"{name} is " + ", ".join(f"{version} in {_joined(own)}" for version, own in where.items()) + ".")
    return said


def others_installed(row: Mapping[str, Any]) -> bool:
    """Whether some run had another version of a package than is installed now; a package that is not installed is another one.

    Args:
        row: of :func:`version_rows`, with the key ``installed``.
    """
    return any(version not in ("", row["installed"]) for version in row["versions"])


def _joined(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else ", ".join(titles[:-1]) + f" and {titles[-1]}"
