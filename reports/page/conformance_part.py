"""Claims by subjects: what the kit found in the reference quantities, in your subjects, and in libraries."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.page.conformance_cells import cells_of, ordered_counts, vacuous_cell
from fishergauge.reports.page.conformance_libraries import read_libraries
from fishergauge.reports.page.conformance_summary import reds, summary
from fishergauge.reports.page.json_artefact import listed, mapping, read_json
from fishergauge.reports.page.neutral_command import neutral_command
from fishergauge.reports.page.part import Gap, Part, missing
from fishergauge.reports.page.record_lines import read_checks
from fishergauge.suites.wording import plural, some

RUN = "conformance/subjects.json"
RECORDS, WHAT = "conformance/records.jsonl", "checks of subjects"
COMMAND = "fishergauge conformance"
FILES = (RUN, RECORDS, "peers/peers.csv")
MOST_REDS = 20
TITLE = "Claims by subjects"


def collect(out: Path) -> Part:
    """Collect the records of the kit, of subjects and of libraries.

    Args:
        out: folder of the results.

    Returns:
        The part, in the order of subjects and claims. Red are cells of the reference and of your subjects, expected failures
        that are out of date, and subjects that could not be checked. What libraries do is judged in the part about them.
    """
    libraries = read_libraries(out)
    run, gap = read_json(out, RUN, "the reference quantities and your subjects", COMMAND)
    if gap and not libraries.cells and not (out / RECORDS).is_file():
        return missing("conformance", TITLE, "the whole table", gap.why, COMMAND)
    command = neutral_command(str(run.get("command") or COMMAND), "out")
    checks, gaps = read_checks(out, RECORDS, WHAT, command)
    gaps = [*([gap] if gap else []), *(gaps if checks or _counted(run) else [])]
    subjects = _subjects(run, checks)
    libraries = libraries.without({subject["name"] for subject in subjects})
    own = _with_vacuous(cells_of(checks), subjects)
    claims = _claims(cell["claim"] for cell in [*own, *libraries.cells])
    rows = [*subjects, *libraries.subjects]
    cells = _ordered([*own, *libraries.cells], rows, claims)
    data: dict[str, Any] = {
        "problems": len({check["problem"] for check in checks} | libraries.problems),
        "checks": sum(cell["checks"] for cell in cells),
        "dtypes": sorted({check["dtype"] for check in checks} | libraries.dtypes),
        "quick": bool(mapping(run.get("options")).get("quick")),
        "subjects": rows,
        "claims": claims,
        "cells": cells,
    }
    found = reds(subjects, [cell for cell in cells if cell["subject"] not in libraries.names])
    return Part(
        "conformance",
        TITLE,
        summary(subjects, len({check["problem"] for check in checks}), libraries, mapping(run.get("options"))),
        data,
        gaps=(*gaps, *_gaps(run, subjects, command), *libraries.gaps),
        files=tuple(name for name in FILES if (out / name).is_file()),
        red=len(found),
        reds=tuple(found[:MOST_REDS]),
    )


def _counted(run: Mapping[str, Any]) -> bool:
    """Whether a run made checks, so that their records are missed."""
    return any(mapping(one).get("checks") for one in listed(run.get("subjects")))


def _subjects(run: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The subjects of a run in its order; those that only the records know last."""
    counts: dict[str, Counter[str]] = {}
    for check in checks:
        counts.setdefault(check["subject"], Counter())[check["verdict"]] += 1
    known = [one for one in map(mapping, listed(run.get("subjects"))) if isinstance(one.get("name"), str)]
    rows = {one["name"]: _subject(one, counts.get(one["name"], {})) for one in known}
    return [*rows.values(), *(_subject({"name": name}, own) for name, own in counts.items() if name not in rows)]


def _subject(one: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    texts = {
        name: str(one.get(name) or "") for name in ("name", "library", "origin", "target", "structure", "declared", "error")
    }
    ours = texts["origin"] == "reference"
    row: dict[str, Any] = {
        **texts,
        "library": texts["library"] or "yours",
        "origin": "reference" if ours else "yours",
        "counts": ordered_counts(counts),
        "vacuous": {str(claim): str(why) for claim, why in mapping(one.get("vacuous")).items()},
        "complaints": list(map(str, listed(one.get("complaints")))),
        "again": str(one.get("command") or ""),
    }
    if isinstance(one.get("timed_seconds"), int | float):
        row["timed_seconds"] = one["timed_seconds"]
    return {name: value for name, value in row.items() if value or name not in ("error", "complaints", "vacuous")}


def _with_vacuous(cells: list[dict[str, Any]], subjects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cells, and those of claims that no problem examined."""
    found = {(cell["subject"], cell["claim"]): cell for cell in cells}
    for subject in subjects:
        for claim, why in subject.get("vacuous", {}).items():
            if claim != "*":
                key = subject["name"], claim
                found[key] = vacuous_cell(*key, why, found.get(key))
    return list(found.values())


def _claims(examined: Iterable[str]) -> list[dict[str, str]]:
    """The claims in the order of the kit; those that this version does not know last."""
    from fishergauge.suites.claims import CLAIMS

    ids = set(examined)
    known = [claim for claim in CLAIMS.values() if claim.id in ids]
    rows = [{"id": one.id, "name": one.name, "statement": one.statement, "source": one.source} for one in known]
    return rows + [{"id": id, "name": "", "statement": "", "source": ""} for id in sorted(ids - CLAIMS.keys())]


def _ordered(
    cells: list[dict[str, Any]], subjects: Sequence[Mapping[str, Any]], claims: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    rows = {subject["name"]: place for place, subject in enumerate(subjects)}
    columns = {claim["id"]: place for place, claim in enumerate(claims)}
    return sorted(cells, key=lambda cell: (rows[cell["subject"]], columns[cell["claim"]]))


def _gaps(run: Mapping[str, Any], subjects: Sequence[Mapping[str, Any]], command: str) -> list[Gap]:
    """Subjects of which something is missing."""
    gaps = []
    if unfinished := [neutral_command(str(spec)) for spec in listed(run.get("unfinished"))]:
        why = f"The run was interrupted before it came to {some(unfinished, 5)}; the same command goes on."
        gaps.append(Gap(plural(len(unfinished), "subject"), why, command))
    for subject in subjects:
        if subject.get("error"):
            gaps.append(Gap(f"checks of {subject['name']}", f"It could not be checked: {subject['error']}", subject["again"]))
        elif "*" in subject.get("vacuous", {}):
            gaps.append(
                Gap(f"checks of {subject['name']}", f"Nothing was examined: {subject['vacuous']['*']}.", subject["again"])
            )
    return gaps
