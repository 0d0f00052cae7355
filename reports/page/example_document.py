"""A report made up without any measurement, realistic and hostile, for the tests of what is made of reports."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fishergauge.reports.page.changes_part import changes_part
from fishergauge.reports.page.document import Document, write_document
from fishergauge.reports.page.example_parts import FILES, example_parts
from fishergauge.reports.page.part import Part

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
CLOSING = "</script><script>alert(2)</script>"
RIGHT_TO_LEFT = "\u05e7\u05d9\u05e8\u05d5\u05d1 \u05e4\u05d9\u05e9\u05e8 \u202eKFAC"
LINES = "two\nlines | and\ta tab"
ADDRESS = "50%/#peers?x=1&y=%41 {{ 7*7 }} {% raw %}"
LONG = "a-very-long-name-without-any-place-to-break-" * 9
ENDLESS = "0123456789" * 1000
HOSTILE = (SCRIPT, IMAGE, CLOSING, RIGHT_TO_LEFT, LINES, ADDRESS, LONG)
"""Names of subjects that a page must show as what they are."""
TWINS = ("mine/kfac (1)", "mine/kfac [1]", "***", "+++")
"""Names that become the same identifier, or none at all, when all but letters and digits is left out."""

WORST_FIRST = ("error", "violated", "unexpected", "expected", "holds", "unsupported", "not-claimed")
RED = WORST_FIRST[:3]
PROBLEMS = 93


def example_document() -> Document:
    """A report with all parts, all verdicts, and hostile text wherever text is not ours.

    Returns:
        The report. Its figures lie beside the page that :func:`write_example` writes.

    Example:
        >>> document = example_document()
        >>> document.red > 0, [part.name for part in document.parts][:2]
        (True, ['changes', 'conformance'])
    """
    subjects = [
        subject("fishergauge/fisher", "fishergauge", origin="reference", structure="dense"),
        subject("fishergauge/kfac", "fishergauge", origin="reference"),
        subject("backpack/diag-ggn-exact", "backpack", origin="library", target="ggn", structure="diagonal"),
        subject("curvlinops/kfac (type-2)", "curvlinops", origin="library"),
        subject("my-kfac", "yours"),
        *(subject(name, "yours") for name in (*HOSTILE, *TWINS)),
    ]
    parts = (conformance(subjects, _claims(12), hostile=True), *example_parts(SCRIPT, IMAGE))
    document = Document("fishergauge report", parts, "fishergauge report --quick", quick=True)
    return replace(document, parts=(changes_part(_earlier(document), document), *parts))


def large_document(subjects: int = 250, claims: int = 45) -> Document:
    """A report as large as one of all libraries.

    Args:
        subjects: how many.
        claims: how many.
    """
    libraries = ("backpack", "curvlinops", "nngeometry", "asdl", "laplace", "singd", "kronfluence", "pytorch_optimizer")
    names = [(f"{libraries[i % 8]}/kfac-expand-empirical-type-2-number-{i}", libraries[i % 8]) for i in range(subjects - 2)]
    made = [subject("fishergauge/fisher", "fishergauge", origin="reference"), subject("my-kfac", "yours")]
    made += [subject(name, library, origin="library") for name, library in names]
    parts = (conformance(made, _claims(claims), hostile=False), *example_parts(SCRIPT, IMAGE, findings=None))
    return Document("fishergauge report", parts, "fishergauge report")


def write_example(out: Path, document: Document | None = None) -> Path:
    """Write a report as the command does: the page, Markdown, JSON and the figures.

    Args:
        out: an existing folder.
        document: the report; by default the example.

    Returns:
        The path of the page.
    """
    from fishergauge.reports.page.rendering import render_html, render_markdown

    report = document or example_document()
    for name, text in FILES.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    write_document(report, out)
    page = out / "index.html"
    page.write_text(render_html(report, out), encoding="utf-8")
    (out / "report.md").write_text(render_markdown(report), encoding="utf-8")
    return page


def subject(
    name: str, library: str, origin: str = "yours", target: str = "fisher", structure: str = "kronecker"
) -> dict[str, Any]:
    """A subject before its checks.

    Args:
        name: any text.
        library: to which it belongs.
        origin: ``reference``, ``library`` or ``yours``.
        target: that it declares.
        structure: that it declares.
    """
    declared = f"{structure} {target}, separate bias, sharing expand"
    again = f"fishergauge check {name.splitlines()[0][:40]!r}"
    kind = {"origin": origin, "target": target, "structure": structure, "declared": declared}
    return {"name": name, "library": library, **kind, "counts": {}, "vacuous": {}, "again": again}


def conformance(subjects: Sequence[dict[str, Any]], claims: Sequence[Mapping[str, str]], hostile: bool) -> Part:
    """The part of claims by subjects.

    Args:
        subjects: that were checked.
        claims: that were examined.
        hostile: whether reasons and witnesses are hostile as well.
    """
    cells = [
        _cell(one, claim["id"], _verdict(row, column), hostile)
        for row, one in enumerate(subjects)
        for column, claim in enumerate(claims)
        if (3 * row + column) % 11
    ]
    for one in subjects:
        total: Counter[str] = Counter()
        for cell in cells:
            if cell["subject"] == one["name"]:
                total.update(cell["counts"])
        one["counts"] = {name: total[name] for name in WORST_FIRST if total[name]}
    subjects[-1]["vacuous"] = {claims[-1]["id"]: "no problem to which it applies"}
    checks = sum(cell["checks"] for cell in cells)
    own = {one["name"] for one in subjects if one["origin"] != "library"}
    reds = [cell for cell in cells if cell["verdict"] in RED and cell["subject"] in own]
    lines = tuple(f"{cell['subject']}: {cell['claim']} is {cell['verdict']}" for cell in reds[:20])
    data = {
        "problems": PROBLEMS,
        "checks": checks,
        "dtypes": ["float64", "float32"],
        "subjects": list(subjects),
        "claims": list(claims),
        "cells": cells,
    }
    summary = f"{len(subjects)} subjects, {len(claims)} claims, {checks} checks on {PROBLEMS} problems."
    return Part("conformance", "Claims by subjects", summary, data, red=len(reds), reds=lines)


def _earlier(document: Document) -> Document:
    """A report before: some cells held that do not now, and the last ones were not examined."""
    before = []
    for part in document.parts:
        if part.name == "conformance":
            cells = part.data["cells"]
            better = [
                {**cell, "verdict": "holds", "counts": {"holds": cell["checks"]}} if place % 5 == 0 else cell
                for place, cell in enumerate(cells[:-3])
            ]
            part = replace(part, data={**part.data, "cells": better})
        before.append(part)
    return Document(f"an earlier report {SCRIPT}", tuple(before), document.command, quick=True)


def _claims(number: int) -> list[dict[str, str]]:
    from fishergauge.suites.claims import CLAIMS

    chosen = list(CLAIMS.values())[:number]
    return [{"id": one.id, "name": one.name, "statement": one.statement, "source": one.source} for one in chosen]


def _verdict(row: int, column: int) -> str:
    """All verdicts for every third subject, few red ones for the others."""
    place = 5 * row + column
    if row % 3 == 0:
        return WORST_FIRST[place % 7]
    return WORST_FIRST[4 + place % 3] if place % 11 else "violated"


def _cell(one: Mapping[str, Any], claim: str, verdict: str, hostile: bool) -> dict[str, Any]:
    held = 0 if verdict in ("unsupported", "not-claimed") else 7
    counts = Counter({"holds": held})
    counts[verdict] += 3
    red = verdict in (*RED, "expected")
    details = [_detail(one["name"], claim, verdict, problem, hostile) for problem in ("mlp-tanh-softmax", "cnn-small")]
    return {
        "subject": one["name"],
        "claim": claim,
        "verdict": verdict,
        "counts": {name: counts[name] for name in WORST_FIRST if counts[name]},
        "checks": sum(counts.values()),
        "worst": details[0],
        **({"others": details[1:], "more": 1} if red else {}),
    }


def _detail(name: str, claim: str, verdict: str, problem: str, hostile: bool) -> dict[str, Any]:
    again = f"fishergauge check my.py:subject --claims {claim} --problems {problem} --seed 0"
    found: dict[str, Any] = {"problem": problem, "dtype": "float64", "verdict": verdict, "again": again}
    if verdict in ("holds", "not-claimed"):
        return {**found, "measured": 1.23e-15, "bound": 3.1e-13, "slack": 0.004, "formula": "64 u sqrt(P)"}
    if verdict in ("error", "unsupported"):
        reason = f"RuntimeError: {SCRIPT} {CLOSING}" if hostile else f"NotImplementedError: no {problem}"
        return {**found, "reason": reason, "notes": [f"printed: {IMAGE}"] if hostile else []}
    measured: dict[str, Any] = {"measured": 0.917, "bound": 3.1e-13, "slack": 3e12}
    if verdict == "unexpected":
        measured = {"measured": None, "measured_reason": "not a number", "bound": 3.1e-13, "slack": None}
    return {
        **found,
        **measured,
        "formula": "64 u sqrt(P)",
        "reason": f"declared to fail: {IMAGE}" if hostile else "the matrix differs from the exact target",
        "witness": f"layers.0.bias: ratio 0.0833 = 1/12 {SCRIPT} {ENDLESS if name == LONG else ''}".strip()
        if hostile
        else "layers.0.bias: ratio to the exact block 0.0833",
        "nearest": 'planted defect D1 "gradients of the mean loss squared" (relative distance 4e-16; next: 0.3)',
        "finding": "backpack-kfac-1" if verdict == "expected" else "",
    }
