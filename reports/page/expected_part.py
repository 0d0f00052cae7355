"""Expected failures: those that subjects declare, with their reasons, and those of libraries, by finding."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishergauge.reports.page.conformance_part import RECORDS, RUN, WHAT
from fishergauge.reports.page.expected_findings import findings_of
from fishergauge.reports.page.json_artefact import listed, mapping, read_json
from fishergauge.reports.page.part import Gap, Part, missing
from fishergauge.reports.page.peers_findings import link_of
from fishergauge.reports.page.record_lines import read_checks
from fishergauge.suites.wording import plural

if TYPE_CHECKING:
    from fishergauge.suites.expectation import Expectation

TITLE = "Expected failures"
COMMAND = "fishergauge conformance"
LIBRARIES = "peers/peers.json"
MARK = "expected: "
FIELDS = ("claim", "problem", "reason", "issue", "origin")


def collect(out: Path) -> Part:
    """Collect what is declared to fail, and what is known to fail.

    Args:
        out: folder of the results.

    Returns:
        The part. Declarations that are out of date are red in the part on conformance, where their subjects stand.
    """
    run, absent = read_json(out, RUN, "expected failures of subjects", COMMAND)
    checks, gaps = read_checks(out, RECORDS, WHAT, COMMAND)
    peers, without = read_json(out, LIBRARIES, "known failures of libraries", "fishergauge peers")
    there = (out / LIBRARIES).is_file()
    if absent and not checks and not there:
        return missing("expected", TITLE, "what is declared or known to fail", absent.why, COMMAND)
    declared = _declared(run, [check for check in checks if check["verdict"] == "expected"])
    findings = findings_of(peers)
    data = {
        "declared": declared,
        "complaints": [
            {"subject": str(one["name"]), "text": str(text)}
            for one in map(mapping, listed(run.get("subjects")))
            if one.get("name")
            for text in listed(one.get("complaints"))
        ],
        "libraries": _by_library(findings),
        "findings": findings,
    }
    shown: list[Gap | None] = [absent, *(gaps if checks else []), without if there else None]
    return Part("expected", TITLE, _summary(data), data, gaps=tuple(gap for gap in shown if gap is not None))


def _declared(run: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The declarations of subjects, each with the checks that it excuses; then the checks that none of them explains."""
    rows = []
    excused: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    entries = list(_entries(run))
    rest = []
    for check in checks:
        place = next((place for place, (name, entry) in enumerate(entries) if _excuses(name, entry, check)), None)
        if place is None:
            rest.append(check)
        else:
            excused[place].append(check)
    for place, (name, entry) in enumerate(entries):
        texts = {field: getattr(entry, field) for field in FIELDS}
        rows.append(_row(name, texts, excused[place], str(entry.expires or "")))
    others: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for check in rest:
        others[check["subject"], check["claim"], str(check.get("reason") or "").partition(MARK)[2]].append(check)
    return rows + [
        _row(name, {"claim": claim, "problem": "*", "reason": reason}, own) for (name, claim, reason), own in others.items()
    ]


def _row(subject: str, texts: Mapping[str, str], checks: Sequence[Mapping[str, Any]], expires: str = "") -> dict[str, Any]:
    return {
        "subject": subject,
        **dict.fromkeys(FIELDS, ""),
        **texts,
        "link": link_of(texts.get("issue", "")),
        "expires": expires,
        "checks": len(checks),
        "claims": sorted({check["claim"] for check in checks}),
        "problems": len({check["problem"] for check in checks}),
    }


def _entries(run: Mapping[str, Any]) -> Iterable[tuple[str, "Expectation"]]:
    """Subject and declaration, as ``subjects.json`` has them; the same objects as in the run."""
    import datetime

    from fishergauge.suites.expectation import Expectation

    for subject in map(mapping, listed(run.get("subjects"))):
        for one in map(mapping, listed(subject.get("expected"))):
            texts = {field: str(one.get(field) or "") for field in FIELDS}
            try:
                expires = datetime.date.fromisoformat(str(one["expires"])) if one.get("expires") else None
            except ValueError:
                expires = None
            yield str(subject.get("name")), Expectation(**{**texts, "problem": texts["problem"] or "*"}, expires=expires)


def _excuses(subject: str, entry: "Expectation", check: Mapping[str, Any]) -> bool:
    """Whether it is this declaration that made a violated check an expected one."""
    from fishergauge.suites.claims import CLAIMS

    claim = check["claim"]
    alias = CLAIMS[claim].name if claim in CLAIMS else ""
    said = f"{MARK}{entry.reason.strip()}" in str(check.get("reason") or "")
    return subject == check["subject"] and bool(entry.reason.strip()) and said and entry.names(claim, alias, check["problem"])


def _by_library(findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    checks: Counter[str] = Counter()
    number: Counter[str] = Counter()
    for finding in findings:
        checks[finding["library"]] += finding["checks"]
        number[finding["library"]] += 1
    return [{"library": name, "findings": number[name], "checks": checks[name]} for name in sorted(checks, key=str.lower)]


def _summary(data: Mapping[str, Any]) -> str:
    declared, findings = data["declared"], data["findings"]
    excused = sum(row["checks"] for row in declared)
    subjects = len({row["subject"] for row in declared})
    said = "No subject declares an expected failure."
    if declared:
        head = f"{plural(len(declared), 'declaration')} of {plural(subjects, 'subject')}"
        said = f"{head} excuse{'s' if len(declared) == 1 else ''} {plural(excused, 'violated check')}."
    if not findings:
        return said
    red = sum(row["checks"] for row in findings)
    names = len(data["libraries"])
    where = "1 library" if names == 1 else f"{names} libraries"
    return f"{said} In {where} {red:,} checks are red for {plural(len(findings), 'known reason')}."
