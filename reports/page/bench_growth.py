"""How cost grows, read from the table of exponents: measured against theory, a row for each implementation of a task."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.page.part import Gap

GROWTH = "bench/scaling.csv"
COMMAND = "fishergauge bench --scaling"
AXES = ("N", "P", "C")
SAME = {"D": "P"}  # of softmax regression the number of inputs stands for P
MEASURES = ("flops", "bytes")
NEEDED = ("implementation", "quantity", "operation", "family", "axis", "measure", "exponent", "theory", "leading", "wrong")


def read_growth(out: Path) -> tuple[list[dict[str, Any]], Gap | None]:
    """Read the exponents for which theory has a closed form, and whatever is wrong.

    Args:
        out: folder of the results.

    Returns:
        A row for each implementation, task and family of problems, and what cannot be read.
    """
    try:
        with (out / GROWTH).open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except (FileNotFoundError, NotADirectoryError):
        return [], None  # a run of its own, which nobody must have asked for
    except (OSError, ValueError, csv.Error) as error:
        return [], Gap("how costs grow", f"{GROWTH} cannot be read: {error}.", COMMAND)
    whole = [line for line in lines if all(isinstance(line.get(name), str) for name in NEEDED)]
    gap = None
    if len(whole) < len(lines) or not lines:
        gap = Gap("exponents", f"{GROWTH} is damaged or empty. Remove it and run the command again.", COMMAND)
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for line in whole:
        groups.setdefault(tuple(line[name] for name in ("implementation", "quantity", "operation", "family")), []).append(line)
    rows = [_row(key, group) for key, group in groups.items()]
    return [row for row in rows if row["exponents"]], gap


def _row(key: tuple[str, ...], lines: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    implementation, quantity, operation, family = key
    exponents: dict[str, dict[str, Any]] = {}
    theory: dict[str, str] = {}
    reasons: list[str] = []
    for line in lines:
        axis, wrong = SAME.get(line["axis"], line["axis"]), line["wrong"] == "True"
        exponent, expected = _real(line["exponent"]), _real(line["theory"])
        if line["measure"] not in MEASURES or axis not in AXES or (expected is None and not wrong):
            continue
        exponents[f"{line['measure']} {axis}"] = {"exponent": exponent, "theory": expected, "wrong": wrong}
        theory[line["measure"]] = line["leading"]
        if wrong:
            reasons.append(f"{line['measure']} in {axis}: {line.get('reason') or 'exponent against theory'}")
    return {
        "implementation": implementation,
        "library": implementation.partition(":")[0],
        "task": f"{quantity}/{operation}",
        "family": family,
        "exponents": exponents,
        "theory": theory,
        "wrong": list(dict.fromkeys(reasons)),
    }


def _real(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
