"""The other parts of the example report, made up like it; what comes with the package alone is collected."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fishergauge.reports.page.example_measurements import FIGURE as PAPER_FIGURE
from fishergauge.reports.page.example_measurements import example_bench, example_paper, example_spectrum
from fishergauge.reports.page.example_probes import example_probes
from fishergauge.reports.page.part import Figure, Gap, Part

NOWHERE = Path("no-such-folder")
FIGURE = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="360pt" height="200pt"
 viewBox="0 0 360 200">
<metadata>made up</metadata>
<defs><clipPath id="area"><rect x="40" y="10" width="300" height="150"/></clipPath>
<path id="mark" d="M-3 0h6M0 -3v6" stroke="#0072b2"/></defs>
<g clip-path="url(#area)"><path d="M40 150L140 90L240 60L340 20" fill="none" stroke="#0072b2" stroke-width="2"/>
<use xlink:href="#mark" x="140" y="90"/><use xlink:href="#mark" x="240" y="60"/></g>
<g><text x="150" y="190" style="font: 12px sans-serif">cost &lt;script&gt;alert(1)&lt;/script&gt;</text></g>
</svg>
"""
FILES: Mapping[str, str] = {"accuracy/accuracy.svg": FIGURE, PAPER_FIGURE: FIGURE}
"""Artefacts beside the page, by path."""


def example_parts(script: str, image: str, findings: int | None = 8) -> tuple[Part, ...]:
    """All parts but that of claims by subjects.

    Args:
        script: hostile text.
        image: hostile text.
        findings: how many of the ledger of libraries; None for all.

    Returns:
        The parts, in the order of the page.
    """
    from fishergauge.reports.page.environment_part import collect as environment
    from fishergauge.reports.page.glossary_part import collect as glossary

    return (
        example_probes(script, image),
        example_paper(script, image),
        example_spectrum(script, image),
        _accuracy(script, image),
        example_bench(script, image),
        _peers(script, image, findings),
        _expected(script, image),
        environment(NOWHERE),
        glossary(NOWHERE),
    )


def _accuracy(script: str, image: str) -> Part:
    """What the collector makes of an artefact with hostile names, one that was refused and one that failed."""
    from fishergauge.reports.page.accuracy_part import RUN, collect

    kinds = ("blocks", "kronecker", "diagonal", "subject", "subject", "products")
    names = ("blocks", "kfac", "diagonal", script, image, "matrix-free")
    rows = [_row(name, kind, place) for place, (name, kind) in enumerate(zip(names, kinds, strict=True))]
    refused = {
        **rows[0],
        "approximation": image,
        "label": image,
        "outcome": "refused",
        "reason": f"NotImplementedError: {script}",
    }
    rows += [refused, {**refused, "label": script, "outcome": "error", "reason": f"RuntimeError: {image}"}]
    about = {
        "statement": f"a small network with softmax outputs {script}",
        "why": "the blocks between its layers are not small",
        "result": f"blocks is the nearest of those that cost less than half of the exact matrix {image}",
        "parameters": 123,
        "samples": 40,
    }
    problems = ("mlp-tanh-softmax", "softmax-small")
    content = {
        "schema": 1,
        "plan": {"quick": True, "damping": 1e-3},
        "provenance": {"command": f"fishergauge accuracy --quick {script}"},
        "problems": [{"name": name, **about} for name in problems],
        "rows": [{**row, "problem": name} for name in problems for row in rows],
    }
    with TemporaryDirectory() as folder:
        artefact = Path(folder) / RUN
        artefact.parent.mkdir()
        artefact.write_text(json.dumps(content), encoding="utf-8")
        part = collect(Path(folder))
    figure = Figure(
        "accuracy", "Cost and distance", f"To the left is cheap, at the bottom is near. {image}", "accuracy/accuracy.svg"
    )
    return replace(part, figures=(figure,), gaps=(), files=("accuracy/accuracy.csv", "a folder/50%#.csv"))


def _row(name: str, kind: str, place: int) -> dict[str, Any]:
    built = kind != "products"
    return {
        "approximation": name,
        "label": name,
        "kind": kind,
        "target": "fisher",
        "outcome": "measured",
        "step_reason": "" if built else "it has no solve",
        "dominated_by": "blocks" if place > 1 else "",
        "flops": 10 ** (7 - place) if built else None,
        "stored": 10 ** (5 - place) if built else None,
        "step_flops": 2 * 10 ** (7 - place) if built else None,
        "forward_passes": 1,
        "backward_passes": 2,
        "distance": 0.03 * (place + 1),
        "own_distance": 1e-15 if built else None,
        "step_error": 0.1 * (place + 1) if built else None,
        "step_angle": 4.0 * (place + 1) if built else None,
        "exact": False,
        "front": place <= 1 if built else None,
        "step_front": place <= 1 if built else None,
        "timed_seconds": 0.0123 * (place + 1),
    }


def _peers(script: str, image: str, findings: int | None) -> Part:
    from fishergauge.reports.page.peers_part import collect

    part = collect(NOWHERE)
    data = dict(part.data)
    known = list(data["findings"])
    hostile = {
        **known[0],
        "id": "hostile_finding",
        "library": image,
        "title": f"`{script}` is taken for text",
        "evidence": f"{image} `{script}`",
        "where": image,
        "expected": script,
        "found": "</code></td></tr></table><h1>broken out</h1>",
        "upstream": "javascript:alert(1)",
        "link": "",
    }
    data["findings"] = [hostile, *known[:findings]]
    data["wrong"] = [{"status": "new", "subject": script, "claim": "T1", "finding": "", "cells": 2, "on": image}]
    data["wrong_groups"] = 2
    return replace(part, data=data, red=1, reds=(f"new: T1 of {script} on {image}",))


def _expected(script: str, image: str) -> Part:
    declared: Sequence[Mapping[str, Any]] = [
        {
            "subject": subject,
            "claim": "T4",
            "problem": "*",
            "reason": reason,
            "issue": issue,
            "origin": "fishergauge.toml",
            "link": issue if issue.startswith("https://") else "",
            "expires": "2027-01-01",
            "checks": 3,
            "claims": ["T4"],
            "problems": 3,
        }
        for subject, reason, issue in (
            ("my-kfac", "the bias is left out of the factors", "https://example.org/issues/1"),
            (script, image, "javascript:alert(1)"),
        )
    ]
    findings = [
        {
            "id": "hostile_finding",
            "library": image,
            "title": script,
            "kind": "defect",
            "upstream": "",
            "link": "",
            "checks": 12,
            "subjects": 2,
        }
    ]
    data = {
        "declared": list(declared),
        "complaints": [{"subject": image, "text": f"nothing matches {script}"}],
        "libraries": [{"name": image, "library": image, "findings": 1, "checks": 12}],
        "findings": findings,
    }
    gap = Gap(f"records of {image}", f"conformance/records.jsonl is damaged: {script}", "fishergauge conformance")
    return Part("expected", "Expected failures", "2 declarations of 2 subjects excuse 6 violated checks.", data, gaps=(gap,))
