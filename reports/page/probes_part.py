"""Large models: what probes found of subjects by their products, how small a defect they would have seen, at what cost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.page.conformance_cells import ordered_counts
from fishergauge.reports.page.difference_data import integer, mappings, real, text, texts
from fishergauge.reports.page.json_artefact import mapping, read_json
from fishergauge.reports.page.matrix import RED
from fishergauge.reports.page.neutral_command import neutral_command
from fishergauge.reports.page.part import Gap, Part
from fishergauge.reports.page.record_lines import read_checks
from fishergauge.suites.wording import number, plural

NAME, TITLE = "probes", "Large models"
RUN, RECORDS = "probes/probes.json", "probes/records.jsonl"
COMMAND = "fishergauge probe SUBJECT --size 1e6 --out out"
WHAT = "probes of large models"
MOST_REDS = 20
NUMBERS = ("measured", "bound", "slack", "power", "estimate")
TEXTS = ("problem", "dtype", "verdict", "formula", "reason", "witness", "nearest", "again", "seen", "measured_reason")


def collect(out: Path) -> Part:
    """Collect what ``fishergauge probe --out`` has left.

    Args:
        out: folder of the results.

    Returns:
        The part. Probes that are violated or in error are red.
    """
    run, gap = read_json(out, RUN, WHAT, COMMAND)
    files = tuple(name for name in (RUN, RECORDS) if (out / name).is_file())
    if gap is not None:
        return Part(NAME, TITLE, "", gaps=(gap,), files=files)
    command = neutral_command(text(run.get("provenance"), "command"))
    subjects = [_subject(one) for one in mappings(run, "subjects") if text(one, "name")]
    records, gaps = read_checks(out, RECORDS, WHAT, command or COMMAND) if _expected(subjects, files) else ([], [])
    tables = _tables(records)
    if not tables and not subjects:
        why = f"{RUN} names no subject. Run the command again."
        return Part(NAME, TITLE, "", gaps=tuple(gaps) or (Gap(WHAT, why, COMMAND),), files=files)
    gaps += [
        Gap(f"{one['name']} on {problem}", why, command)
        for one in subjects
        for problem, why in sorted(mapping(one["left_out"]).items())
    ]
    red = [row for table in tables for row in table["rows"] if row["verdict"] in RED]
    data = {
        "command": command,
        "quick": bool(mapping(run.get("plan")).get("quick")),
        "subjects": subjects,
        "probes": _probes([row for table in tables for row in table["rows"]]),
        "tables": tables,
    }
    return Part(
        NAME,
        TITLE,
        _summary(tables, subjects),
        data,
        gaps=tuple(gaps),
        files=files,
        red=len(red),
        reds=tuple(_red(row) for row in red[:MOST_REDS]),
    )


def _expected(subjects: Sequence[Mapping[str, Any]], files: Sequence[str]) -> bool:
    """Whether there are records, or should be: where every probe is vacuous there are none."""
    return RECORDS in files or not all(one["vacuous"] for one in subjects)


def _subject(one: Mapping[str, Any]) -> dict[str, Any]:
    words = {name: text(one, name) for name in ("name", "target", "structure")}
    said = {name: {str(key): str(why) for key, why in mapping(one.get(name)).items()} for name in ("vacuous", "left_out")}
    return {**words, **said}


def _tables(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A table for each subject on each problem, in the order of the records."""
    groups: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        subject, problem, dtype, device = (text(record, name) for name in ("subject", "problem", "dtype", "device"))
        groups.setdefault((subject, problem, dtype, device), []).append(record)
    return [_table(*key, own) for key, own in groups.items()]


def _table(subject: str, problem: str, dtype: str, device: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    parameters = max(integer(record, "num_parameters") for record in records)
    peak = max(integer(record, "peak_bytes") for record in records)
    width = 4 if dtype == "float32" else 8
    return {
        "subject": subject,
        "problem": problem,
        "dtype": dtype,
        "device": device,
        "parameters": parameters,
        "counts": ordered_counts(Counter(text(record, "verdict") for record in records)),
        **{name: sum(integer(record, name) for record in records) for name in ("products", "exact_products")},
        "peak_bytes": peak,
        "vectors": peak / parameters / width if parameters else None,
        "timed_seconds": sum(real(record, "seconds") or 0.0 for record in records),
        "rows": [_row(record) for record in records],
    }


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record; what is not as expected is left empty."""
    interval = record.get("interval")
    ends = interval if isinstance(interval, list) and len(interval) == 2 else [None, None]
    return {
        "subject": text(record, "subject"),
        "probe": text(record, "claim"),
        **{name: text(record, name) for name in TEXTS},
        **{name: real(record, name) for name in NUMBERS},
        "interval": [real({"end": end}, "end") for end in ends] if None not in ends else None,
        "products": integer(record, "products"),
        "notes": texts(record, "notes"),
        "finding": "",
        "timed_seconds": real(record, "seconds"),
    }


def _probes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The probes that were made in the order of the catalogue; those that this version does not know last."""
    from fishergauge.suites.probes.registry import PROBES

    seen: dict[str, dict[str, None]] = {row["probe"]: {} for row in rows}
    for row in rows:
        seen[row["probe"]] |= {row["seen"]: None} if row["seen"] else {}
    ordered = [*(id for id in PROBES if id in seen), *sorted(seen.keys() - PROBES.keys())]
    about = {id: (probe.statement, probe.source, probe.blind) for id, probe in PROBES.items()}
    named = ({"id": id, **dict(zip(("statement", "source", "blind"), about.get(id, ("",) * 3), strict=True))} for id in ordered)
    return [{**one, "seen": "; ".join(seen[one["id"]])} for one in named]


def _summary(tables: Sequence[Mapping[str, Any]], subjects: Sequence[Mapping[str, Any]]) -> str:
    """How much there is, what came of it, and what it took."""
    vacuous = sum(len(one["vacuous"]) for one in subjects)
    nothing = f" {plural(vacuous, 'probe')} {'was' if vacuous == 1 else 'were'} executed on no problem." if vacuous else ""
    if not tables:
        return f"Nothing was measured.{nothing}"
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table["counts"])
    red = sum(total[verdict] for verdict in RED)
    of = f"{sum(total.values()):,} probes of {plural(len({table['subject'] for table in tables}), 'subject')}"
    largest = max(table["parameters"] for table in tables)
    on = f" on {plural(len({table['problem'] for table in tables}), 'problem')} of up to {largest:,} parameters"
    held = f"{total['holds']:,} hold, {red:,} {'is' if red == 1 else 'are'} red"
    told = f", {total['not-claimed']:,} were measured for information" if total["not-claimed"] else ""
    memory = max((table["vectors"] or 0.0 for table in tables), default=0.0)
    took = f" At most {number(memory)} vectors as long as the parameters were held at once." if memory else ""
    return f"{of}{on}: {held}{told}. No array of parameters by parameters was formed.{took}{nothing}"


def _red(row: Mapping[str, Any]) -> str:
    head = f"{row['probe']} of {row['subject']} on {row['problem']}: {row['verdict']}"
    if row["measured"] is not None and row["bound"] is not None:
        head += f"; measured {number(row['measured'])}, bound {number(row['bound'])}"
    return "; ".join([head, *(" ".join(row[name].split()) for name in ("reason", "witness") if row[name])])
