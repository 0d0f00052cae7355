"""Findings in today's libraries: the ledger, which comes with the package, and the run that was held against it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.page.json_artefact import listed, mapping, read_json
from fishergauge.reports.page.neutral_command import neutral_command
from fishergauge.reports.page.part import Figure, Gap, Part
from fishergauge.reports.page.peers_cells import COMMAND, NAME, PeersCells, read_cells
from fishergauge.reports.page.peers_findings import finding_rows, kind_rows
from fishergauge.reports.page.peers_libraries import library_rows
from fishergauge.suites.wording import plural, some

RUN = "peers/peers.json"
FIGURE = "peers/peers_summary.svg"
FILES = (RUN, NAME, "peers/peers.md", "peers/peers.pdf", "peers/peers_summary.png")
MOST_SHOWN = 20
CAPTION = (
    "Each cell says how many per cent of the executed checks of a claim are red, all quantities of a library and all problems "
    "together; blue cells hold everywhere, a dash means that the library refuses all of them, and where there is no cell "
    "nothing is claimed. Shares of different libraries cannot be compared: they offer different quantities, and who refuses "
    "more has less to be red."
)


def collect(out: Path) -> Part:
    """Collect the ledger and, where ``fishergauge peers`` has run, its results.

    Args:
        out: folder of the results.

    Returns:
        The part. What contradicts the ledger is red.
    """
    from fishergauge.suites.peers.expected_cells import read_expected
    from fishergauge.suites.peers.judgement import STATUSES
    from fishergauge.suites.peers.ledger import read_ledger

    ledger = read_ledger()
    known = Counter(cell.finding for cell in read_expected())
    run, gap = read_json(out, RUN, "a run of the libraries: all below is known from the ledger alone", COMMAND)
    gaps = [gap] if gap else []
    cells = PeersCells()
    if run:
        cells, gap = read_cells(out)
        gaps += [gap] if gap else []
    libraries = library_rows(ledger, known, run, cells)
    ran = [row["library"] for row in libraries if row["state"] == "run"]
    gaps += _not_run(libraries, run) if run else []
    wrong = _wrong(cells)
    figure = Figure("peers-summary", "Libraries by claims", CAPTION, FIGURE)
    data: dict[str, Any] = {
        "kinds": kind_rows(ledger),
        "libraries": libraries,
        "findings": finding_rows(ledger, known, cells.seen, ran),
        "statuses": dict(STATUSES),
        "wrong": wrong[:MOST_SHOWN],
        "wrong_groups": len(wrong),
    }
    if run:
        data["command"] = neutral_command(str(run.get("command", "")), "out/peers")
    red = sum(sum(row.get("wrong", {}).values()) for row in libraries)
    return Part(
        "peers",
        "Findings in today's libraries",
        _summary(data),
        data,
        figures=(figure,) if (out / FIGURE).is_file() else (),
        gaps=tuple(gaps),
        files=tuple(name for name in FILES if (out / name).is_file()),
        red=red,
        reds=_reds(wrong, red, data["statuses"]),
    )


def _not_run(libraries: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> list[Gap]:
    """Libraries that the run was asked for in vain, and quantities of which it says nothing; others are no gap."""
    gaps = []
    asked = mapping(run.get("missing"))
    names = [row["library"] for row in libraries if row["library"] in asked]
    if names:
        why = "Asked for, but not installed; what the ledger knows is shown."
        gaps.append(Gap("a run of " + ", ".join(names), why, "pip install '.[peers]'"))
    empty = [str(mapping(one).get("name")) for one in listed(run.get("quantities")) if not mapping(one).get("claims")]
    if empty:
        why = f"Of {some(empty, 10)} there is no check: a run did not come to its end, or the options left nothing."
        gaps.append(Gap(f"checks of quantities ({len(empty)})", why, COMMAND))
    return gaps


def _wrong(cells: PeersCells) -> list[dict[str, Any]]:
    """What contradicts the ledger: a row for each quantity and claim."""
    return [
        {"status": status, "subject": subject, "claim": claim, "finding": finding, "cells": len(places), "on": some(places, 6)}
        for (status, subject, claim, finding), places in cells.wrong.items()
    ]


def _reds(wrong: Sequence[Mapping[str, Any]], red: int, statuses: Mapping[str, str]) -> tuple[str, ...]:
    lines = [
        f"{row['status']}: {row['claim']} of {row['subject']} on {row['on']}: {statuses[row['status']]}"
        + (f" ({row['finding']})" if row["finding"] else "")
        for row in wrong[:MOST_SHOWN]
    ]
    return tuple(lines) or ((f"{plural(red, 'cell')} of libraries contradict the ledger",) if red else ())


def _summary(data: Mapping[str, Any]) -> str:
    kinds = ", ".join(f"{row['kind']} {row['count']}" for row in data["kinds"])
    every = data["libraries"]
    where = "one library" if len(every) == 1 else f"{len(every)} libraries"
    head = f"The ledger holds {plural(len(data['findings']), 'finding')} in {where}; by class: {kinds}."
    ran = [row for row in every if row["state"] == "run"]
    if not ran:
        return f"{head} No library was run for this page."
    executed, held = (sum(row[key] for row in ran) for key in ("executed", "holds"))
    expected, refused = (sum(row[key] for row in ran) for key in ("expected", "refused"))
    wrong = sum(sum(row["wrong"].values()) for row in ran)
    said = f"{wrong} contradict it" if wrong else "none contradicts it"
    names = ", ".join(row["library"] for row in ran)
    left = len(every) - len(ran)
    rest = f" The others were left out; {COMMAND} runs them." if left else ""
    return (
        f"{head} Run for this page: {names}.{rest} Of {executed:,} checks executed {held:,} hold and {expected:,} are red as "
        f"the ledger says; {said}. {refused:,} more were refused by the libraries, which is no defect."
    )
