"""The claims of the source on the routes to the Jacobian, and the rules that judge them."""

import math
from collections.abc import Mapping

import torch

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.experiment import Results
from fishergauge.reports.gauss_newton.jacobian_tables import (
    PUBLISHED,
    PUBLISHED_SAMPLES,
    Row,
    growth,
    ratios,
    rows_of,
    times,
)
from fishergauge.reports.ledger import CONDITIONAL, GGN_EXPERIMENTS, LedgerEntry
from fishergauge.suites.closeness import rounding_bound

NOTES = f"{GGN_EXPERIMENTS}; Notes.md on the calculation of Hessian and Jacobian, section"
DATA = "log-normal"
FACTOR = 10.0  # what ratios of times may differ by between machines and versions
CLEARLY = 1.25
AT_PARAMETERS = f"{CONDITIONAL}the gradients are read at the parameters, and not at the outputs of the layers"
ORDER = ("analytic", "torch.func", "torch loop")  # fastest first


def jacobian_entries(name: str, results: Results) -> list[LedgerEntry]:
    """The ledger entries; the cell of the line with the published number of samples is needed."""
    rows = rows_of(results)
    if not times(rows, "line", PUBLISHED_SAMPLES, "ggn"):
        return []
    claims = ((times_claim, "Timing"), (fastest_claim, "Timing"), (loop_claim, "torch"))
    return [claim(rows).entry(name, number, DATA, f"{NOTES} {section}") for number, (claim, section) in enumerate(claims, 1)]


def times_verdict(measured: Mapping[str, float]) -> str:
    """Confirmed if the order holds and every ratio is within a factor of ten of the published one.

    Args:
        measured: seconds by route.
    """
    ordered = [measured[route] for route in ORDER]
    if not ordered[0] < ordered[1] < ordered[2]:
        return "refuted"
    ours, theirs = ratios(measured), ratios(PUBLISHED)
    near = all(abs(math.log(ours[route] / theirs[route])) <= math.log(FACTOR) for route in ORDER)
    return "confirmed" if near else f"{CONDITIONAL}the order of the routes counts and not the ratios of their times"


def times_claim(rows: list[Row]) -> Claim:
    """The published times."""
    published, measured = ratios(PUBLISHED), times(rows, "line", PUBLISHED_SAMPLES, "ggn")
    alone = times(rows, "line", PUBLISHED_SAMPLES)
    exponent = growth(rows, "line", "torch.func")
    figures = {f"published_ratio_{route}": value for route, value in published.items()}
    figures |= {f"ratio_{route}": value for route, value in ratios(measured).items()}
    figures |= {f"jacobian_ratio_{route}": value for route, value in ratios(alone).items()}
    figures |= {f"seconds_{route}": value for route, value in measured.items()}
    figures["torch.func_exponent_in_samples"] = exponent
    return Claim(
        statement="Analytic, torch loop and torch.func take 8.2e-6, 6.1e-2 and 2.1e-3 s.",
        published=f"ratios {_chain(published)}, for J'J / N with 1000 samples and two parameters",
        as_published=f"on one core, float32: ratios {_chain(ratios(measured))}; analytic {measured['analytic']:.1e} s",
        as_it_should_be=f"the Jacobian alone, which the analytic route builds as well: {_chain(ratios(alone))}"
        + _network(rows),
        judged=Judgement(
            times_verdict(measured),
            f"confirmed means: the order holds, and each ratio is within a factor of {FACTOR:g} of that published; "
            "times are of one machine. The published torch.func route pulls N unit vectors through the batch: N^2 work"
            + ("" if math.isnan(exponent) else f" (time grows with the exponent {exponent:.1f})")
            + "; by sample it is N.",
        ),
        figures=figures,
    )


def fastest_verdict(medians: list[Mapping[str, float]], leasts: list[Mapping[str, float]]) -> str:
    """Confirmed if no route is clearly faster than the analytic one, wherever they were timed.

    Clearly: the median of the one is below the least time of the other by a quarter.

    Args:
        medians: seconds by route, one table for each model and number of samples.
        leasts: the least times, in the same order.
    """
    faster = {
        route
        for median, least in zip(medians, leasts, strict=True)
        for route, seconds in median.items()
        if CLEARLY * seconds < least["analytic"]
    }
    if not faster:
        return "confirmed"
    return "refuted" if faster & set(PUBLISHED) else f"{CONDITIONAL}it is compared with the published routes alone"


def fastest_claim(rows: list[Row]) -> Claim:
    """That the analytic route is the fastest, at the price of being written for one model."""
    tables = _tables(rows)
    compared = {
        "layers_over_analytic": _quotients(tables, "layers", "analytic"),
        "torch.func_over_layers": _quotients(tables, "torch.func", "layers"),
        "by_sample_over_layers": _quotients(tables, "torch.func by sample", "layers"),
    }
    figures = {
        f"{name}_{model}_{samples}": value for name, found in compared.items() for (model, samples), value in found.items()
    }
    line = {name: found["line", PUBLISHED_SAMPLES] for name, found in compared.items()}
    everywhere = {name: _range(found) for name, found in compared.items()}
    return Claim(
        statement="The analytic method is fastest.",
        published="256 times as fast as torch.func, at the price that a specific model is hard coded",
        as_published=f"with {PUBLISHED_SAMPLES} samples of the line, the Jacobian by layers, a fourth route that knows no "
        f"model, takes {line['layers_over_analytic']:.0f} times as long as the analytic one; torch.func takes "
        f"{line['torch.func_over_layers']:.0f} times as long as that by layers, by sample "
        f"{line['by_sample_over_layers']:.1f} times",
        as_it_should_be=f"over {len(tables)} models and sizes: layers over analytic {everywhere['layers_over_analytic']}, "
        f"torch.func over layers {everywhere['torch.func_over_layers']}, by sample over layers "
        f"{everywhere['by_sample_over_layers']}",
        judged=Judgement(
            fastest_verdict(list(tables.values()), [times(rows, *group, column="least_seconds") for group in tables]),
            "the closed form is a few products of small matrices, and what the others add is the overhead of automatic "
            "differentiation. For networks of linear layers one forward and C backward passes give the rows as g a', by the "
            "same products and without hard-coding a model.",
        ),
        figures=figures,
    )


def loop_verdict(accumulated: float, by_layers: float) -> str:
    """Refuted if one backward pass leaves no sum at the parameters; conditional if it has all rows at the layers.

    Args:
        accumulated: deviation of the parameters' gradients after one backward pass from the sum of the rows, in float64.
        by_layers: deviation of the rows by layers from the analytic ones, in float64.
    """
    bound = rounding_bound(torch.float64, PUBLISHED_SAMPLES)
    if accumulated > bound:
        return "refuted"
    return AT_PARAMETERS if by_layers <= bound else "confirmed"


def loop_claim(rows: list[Row]) -> Claim:
    """That backward needs a loop over samples."""
    gains = _quotients(_tables(rows), "torch loop", "layers")
    deviation = max(row["deviation"] for row in rows if row["route"] == "layers")
    accumulated = max(row["accumulated"] for row in rows)
    figures = {f"loop_over_layers_{model}_{samples}": value for (model, samples), value in gains.items()}
    return Claim(
        statement='"The loop here is required because the .backward() step that calculates the gradients accumulates them '
        'for the parameters".',
        published="no figure but the times; torch.func is the remedy",
        as_published=f"after one backward pass from all outputs the parameters have the sum of the rows, to {accumulated:.0e}; "
        f"the loop takes a pass an output and sample, {PUBLISHED_SAMPLES} for the line",
        as_it_should_be="one backward pass an output gives the rows of all samples, as products of gradients at the layers' "
        f"outputs and inputs of the layers: deviation {deviation:.0e} in float64, {_range(gains)} times as fast as the loop",
        judged=Judgement(
            loop_verdict(accumulated, deviation),
            "gradients accumulate at the parameters, which all samples share, but not at the outputs of the layers, where "
            "every sample has its own row.",
        ),
        figures={**figures, "largest_deviation": deviation, "deviation_from_the_sum": accumulated},
    )


def _tables(rows: list[Row]) -> dict[tuple[str, int], dict[str, float]]:
    """Seconds by route, by model and number of samples."""
    groups = dict.fromkeys((row["model"], row["samples"]) for row in rows)
    return {group: times(rows, *group) for group in groups}


def _quotients(tables: Mapping[tuple[str, int], Mapping[str, float]], slow: str, fast: str) -> dict[tuple[str, int], float]:
    """Times of one route over those of another."""
    return {group: table[slow] / table[fast] for group, table in tables.items()}


def _network(rows: list[Row]) -> str:
    """The ratios of the largest network that was timed."""
    sizes = [row["samples"] for row in rows if row["model"] == "network"]
    if not sizes:
        return ""
    return f"; network 4-8-2 with {max(sizes)} samples: {_chain(ratios(times(rows, 'network', max(sizes))))}"


def _chain(found: Mapping[str, float]) -> str:
    """Ratios in the published order, analytic : loop : func."""
    return " : ".join(f"{found[route]:.0f}" for route in PUBLISHED)


def _range(found: Mapping[tuple[str, int], float]) -> str:
    return f"{min(found.values()):.2g} to {max(found.values()):.2g}"
