"""The parts of the example report that stand for experiments: the paper's claims, the invariance spectrum, benchmarks."""

from typing import Any

from fishergauge.reports.page.part import Figure, Part

VERDICTS = ("confirmed", "confirmed only if", "refuted", "not testable as published")
FIGURE = "paper/e1.svg"


def example_paper(script: str, image: str) -> Part:
    """The paper's claims.

    Args:
        script: hostile text.
        image: hostile text.
    """
    claims = [_claim(f"E1.{place}", verdict, "", image) for place, verdict in enumerate(VERDICTS, 1)]
    claims.append(_claim(script, "refuted", "timed_", script))
    counts = {name: sum(claim["verdict"] == name for claim in claims) for name in VERDICTS}
    group = {
        "name": "paper",
        "title": "The paper",
        "source": f"a paper {script}",
        "counts": counts,
        "experiments": [{"name": "e1", "title": "efficiency of one step", "claims": len(claims)}],
        "claims": claims,
    }
    data = {
        "remarks": [f"Incomplete: {script}"],
        "counts": counts,
        "groups": [group],
        "linked": [],
        "command": f"fishergauge {image}",
    }
    figure = Figure("paper-e1", "Efficiency of one step", f"Bars above the line favour the natural gradient. {script}", FIGURE)
    return Part("paper", "The paper's claims", f"{len(claims)} claims of one source.", data, (figure,), files=("claims.json",))


def _claim(name: str, verdict: str, timed: str, text: str) -> dict[str, Any]:
    return {
        "id": name,
        "experiment": "e1",
        "data": "digits",
        "verdict": verdict,
        "condition": f"the step is small {text}" if verdict == "confirmed only if" else "",
        "source": "experiment E1",
        "statement": f"At equal divergence the natural gradient reduces the loss more. {text}",
        "published": f"+1.98 % on average {text}",
        "reason": f"RuntimeError: {text}",
        f"{timed}as_published": "mean +20.40 % (min +3.54, max +59.44)",
        f"{timed}as_it_should_be": f"mean -23.56 % {text}",
    }


def example_spectrum(script: str, image: str) -> Part:
    """The invariance spectrum.

    Args:
        script: hostile text.
        image: hostile text.
    """
    marks = ("=", "~", "!", "-", "?")
    families = ["permutation", "scaling", "affine", "orthogonal", image]
    rows = [
        {
            "name": name,
            "label": f"called {image}",
            "yours": name == script,
            "cells": [{"mark": mark, "deviation": 1e-14, "exponent": "-14.0"} for mark in marks[place:] + marks[:place]],
        }
        for place, name in enumerate(("exact-fisher", "kfac", "diagonal", script))
    ]
    section = {
        "title": "Red: contradicted pairs",
        "above": [f"What is invariant where it should not be. {script}"],
        "head": ["approximation", "family", "deviation"],
        "rows": [[script, image, "1e-14"], ["kfac", "affine", "0.3"]],
        "below": [image],
    }
    data = {
        "subjects": [script],
        "kappa": "100",
        "precision": "float64",
        "families": families,
        "marks": [{"mark": mark, "meaning": f"meaning of {mark}", "count": 4} for mark in marks],
        "matrix": rows,
        "sections": [section, {**section, "title": script}],
        "range": {"models": ["mlp", image], "data": ["synthetic"], "precisions": ["float64"]},
        "command": f"fishergauge spectrum {script}",
    }
    return Part("spectrum", "Invariance spectrum", "4 approximations under 5 families of maps.", data)


def example_bench(script: str, image: str) -> Part:
    """The benchmarks.

    Args:
        script: hostile text.
        image: hostile text.
    """
    names = ("fishergauge", "backpack", "notebook:loop", "curvlinops", script, image)
    rows = [_benchmark(name, place, image) for place, name in enumerate(names)]
    problem = {
        "name": "softmax-small",
        "dtype": "float64",
        "device": "cpu",
        "sizes": {"N": 500, "P": 40, "C": 5},
        "benchmarks": len(rows),
        "rows": rows,
        "left_out": 0,
    }
    exponents = {
        "flops N": {"exponent": 1.0, "theory": 1.0, "wrong": False},
        "bytes N": {"exponent": None, "theory": None, "wrong": True},
    }
    growth = {
        "implementation": script,
        "library": image,
        "task": "fisher/dense",
        "family": "mlp",
        "exponents": exponents,
        "theory": {"flops": "N P²", "bytes": script},
        "wrong": [f"bytes grow faster {image}"],
    }
    data = {
        "timed": True,
        "benchmarks": len(rows),
        "problems": [problem, {**problem, "name": script}],
        "refusals": [{"reason": f"not compared: {script}", "count": 1, "names": [image] * 6}],
        "growth": [growth],
        "columns": ["flops N", "bytes N"],
        "rates": [{"dtype": "float64", "device": "cpu", "timed_flops": 3e10, "timed_bytes": 1e10}],
        "facets": "task library result",
    }
    return Part(
        "bench",
        "Benchmarks",
        f"{2 * len(rows)} benchmarks, 2 of them wrong.",
        data,
        red=2,
        reds=(f"{script} is wrong: {image}",),
    )


def _benchmark(name: str, place: int, image: str) -> dict[str, Any]:
    red = place == 3
    return {
        "task": "fisher/dense" if place % 2 else "fisher/blocks",
        "implementation": name,
        "library": name.partition(":")[0],
        "kind": "library",
        "result": "WRONG" if red else "ok",
        "red": red,
        "reason": f"differs {image}" if red else "",
        "deviation": 0.3 if red else None,
        "bound": 1e-12 if red else None,
        "against": image if red else "",
        "flops": 40_000 * (place + 1),
        "flops_text": f"{40 * (place + 1)} k",
        "ratio": 1.0 + place,
        "passes": "1+0",
        "peak_bytes": 7_000_000,
        "peak_text": "7 MB",
        "timed_seconds": 0.01 * (place + 1),
        "timed_text": f"{10 * (place + 1)} ms",
        "timed_ratio": 1.0 + place,
        "timed_limit": 0.5 / (place + 1),
    }
