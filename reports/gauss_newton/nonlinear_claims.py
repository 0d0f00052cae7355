"""What is claimed of GGN and Laplace for nonlinear models, and the rules that judge it."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, GGN_EXPERIMENTS, LedgerEntry

SOURCE = f"{GGN_EXPERIMENTS}; section on non-linear models, under construction there"
Row = dict[str, Any]

BAYES, PUBLISHED = "Bayes' rule", "as published"

SAMPLED_ONLY = CONDITIONAL + "the network itself is sampled; linearised, the same posterior does not"
FROM_LIVE_STARTS = CONDITIONAL + "the start is not on the plateau"


def nonlinear_entries(results: Results) -> list[LedgerEntry]:
    """The entries for which there are results."""
    by_study: dict[str, list[dict[str, Any]]] = {"field": [], "relu": [], "network": []}
    for cell, record in results:
        by_study[str(dict(cell.settings)["study"])].append(record)
    hessians = [row for records in by_study.values() for record in records for row in record.get("hessians", [])]
    network = [row for record in by_study["network"] for row in record["rows"]]
    relu = [row for record in by_study["relu"] for row in record["rows"]]
    found: dict[int, tuple[Claim, str]] = {}
    if hessians:
        found[1] = hessian_of_the_linearised(hessians), "log-normal, diabetes"
    if network:
        found[2] = underfitting(network, "network"), "diabetes"
    if relu:
        found[3] = underfitting([row for row in relu if row["posterior"] == BAYES], "relu"), "log-normal"
        found[4] = published_posterior(relu), "log-normal"
    if by_study["field"]:
        found[5] = natural_paths(by_study["field"][0]), "log-normal"
    return [claim.entry("nonlinear", number, data, SOURCE) for number, (claim, data) in found.items()]


def linearised_verdict(rows: Sequence[Row]) -> str:
    """Confirmed where the GGN is the linearised Hessian within rounding everywhere, and not the Hessian somewhere."""
    same = all(row["from_linearised"] <= row["bound"] for row in rows)
    other = any(row["from_hessian"] > 100 * row["bound"] for row in rows)
    return "confirmed" if rows and same and other else "refuted"


def hessian_of_the_linearised(rows: Sequence[Row]) -> Claim:
    """The claim on what the GGN is the Hessian of."""
    worst = max(row["from_linearised"] for row in rows)
    largest, least = max(row["from_hessian"] for row in rows), min(row["from_hessian"] for row in rows)
    return Claim(
        '"the GGN is only the Hessian of the linearised function"',
        "no figure",
        "the loss of f_lin differentiated twice",
        f"the GGN equals it to {worst:.0e}; from the Hessian of the function it is {least:.2g} away at an optimum, and up to "
        f"{largest:.2g} elsewhere, relative to the Hessian",
        Judgement(
            linearised_verdict(rows),
            "what is left out is the sum of residuals times the curvature of the outputs; small where residuals average out, "
            "as at an optimum of a model that is right, and as large as the Hessian where they do not.",
        ),
        {"from_linearised": worst, "least_from_hessian": least, "largest_from_hessian": largest},
    )


def underfit_verdict(sampled: Sequence[float], linearised: Sequence[float], margin: float = 0.02) -> str:
    """Whether both predictive distributions lose log density on the training data, only the sampled one, or neither.

    Args:
        sampled: nats a target that sampling loses against the plain fit, by seed.
        linearised: the same of the linearised one.
        margin: nats that count as a loss.
    """
    if not sampled or median(sampled) <= margin:
        return "refuted"
    return "confirmed" if median(linearised) > margin else SAMPLED_ONLY


def underfitting(rows: Sequence[Row], model: str) -> Claim:
    """The claim that Laplace underfits a nonlinear model, on one model."""
    chosen = [row for row in rows if row.get("prior_multiple", 1.0) == 1.0]
    training, test = ([row for row in chosen if row["part"] == part] for part in ("training", "test"))
    away = {kind: _of(training, kind, "away_from_fit") for kind in ("linearised", "sampled")}
    parts = {"training": training, "test": test}
    nll = {(part, kind): _of(part_rows, kind, "nll") for part, part_rows in parts.items() for kind in away}
    spread = {kind: _of(training, kind, "spread") for kind in away}
    covered = {kind: _of(test, kind, "coverage_50") for kind in away}
    ratio = [s / f for s, f in zip(spread["sampled"], spread["linearised"], strict=True)]
    # the linearised mean is the fit itself
    fit = [log_loss_of_fit(row) for row in training if row["predictive"] == "linearised"]
    lost = {kind: [n - f for n, f in zip(nll["training", kind], fit, strict=True)] for kind in away}
    verdict = (
        underfit_verdict(lost["sampled"], lost["linearised"])
        if model == "network"
        else bias_verdict(away["sampled"], spread["linearised"])
    )
    return Claim(
        'For models that are not linear in the parameters, the Laplace approximation "is expected to underfit"'
        + (", here a tanh network." if model == "network" else ", here f(x) = theta_1 relu(theta_2 x)."),
        "no figure",
        "network sampled at parameters of the posterior",
        f"medians: the spread of sampled functions on the training data is {median(ratio):.2g} times the linearised one, "
        f"{median(spread['linearised']):.2g}, and their mean is {median(away['sampled']):.2g} away from the fit; log loss a "
        f"target {median(nll['training', 'sampled']):.3f} against {median(nll['training', 'linearised']):.3f} on training, "
        f"{median(nll['test', 'sampled']):.3f} against {median(nll['test', 'linearised']):.3f} on test data; the 50 % interval "
        f"covers {median(covered['sampled']):.0%} against {median(covered['linearised']):.0%} of the test data",
        Judgement(
            verdict,
            "samples leave the maximum along directions in which only the linearised function stays the same. The matrix is "
            "not to blame: with the function that it belongs to, the same posterior keeps the fit.",
        ),
        {
            "spread_ratio": median(ratio),
            "sampled_mean_away_from_fit": median(away["sampled"]),
            "training_nll_fit": median(fit),
            "training_nll_sampled": median(nll["training", "sampled"]),
            "training_nll_linearised": median(nll["training", "linearised"]),
            "test_nll_sampled": median(nll["test", "sampled"]),
            "test_nll_linearised": median(nll["test", "linearised"]),
            "test_coverage_50_sampled": median(covered["sampled"]),
            "test_coverage_50_linearised": median(covered["linearised"]),
        },
    )


def bias_verdict(away: Sequence[float], deviation: Sequence[float]) -> str:
    """With N large the loss is in the noise: the sampled mean underfits if it leaves the fit by more than a deviation."""
    if not away or median(away) <= median(deviation):
        return "refuted"
    return SAMPLED_ONLY


def published_posterior(rows: Sequence[Row]) -> Claim:
    """What the division of the precision by N does to the samples of the program."""
    sampled = [row for row in rows if row["predictive"] == "sampled" and row["part"] == "training"]
    by_name = {name: [row for row in sampled if row["posterior"] == name] for name in (BAYES, PUBLISHED)}
    dead = {name: median(row["dead"] for row in part) for name, part in by_name.items()}
    deviation = {name: median(row["kernel_deviation"] for row in part) for name, part in by_name.items()}
    rmse = {name: median(row["rmse"] for row in part) for name, part in by_name.items()}
    return Claim(
        "Samples of the posterior show what the approximation makes of the nonlinear model.",
        "program non_linear/plotting.py: precision (GGN + alpha I) / N",
        f"deviation along the kernel {deviation[PUBLISHED]:.2g}; {dead[PUBLISHED]:.0%} of the samples have theta_2 < 0 "
        f"and predict zero; error of the mean {rmse[PUBLISHED]:.2g}",
        f"by Bayes' rule {deviation[BAYES]:.2g}, {dead[BAYES]:.0%}, {rmse[BAYES]:.2g} (noise 1)",
        Judgement(
            "confirmed" if dead[PUBLISHED] < 0.01 else "refuted",
            "the published samples are of a posterior of N times the variance; most of what they show is that.",
        ),
        {
            "published_dead": dead[PUBLISHED],
            "dead": dead[BAYES],
            "published_kernel_deviation": deviation[PUBLISHED],
            "kernel_deviation": deviation[BAYES],
        },
    )


def paths_verdict(rows: Sequence[Row], straight: float = 1e-2) -> str:
    """Confirmed where natural gradient paths are straight and reach the valley from everywhere; a bent one refutes."""
    natural = [row for row in rows if row["method"] == "natural gradient"]
    live = [row for row in natural if not row["on_plateau_at_first"]]
    if not live or not all(row["in_valley"] and row["bend"] <= straight for row in live):
        return "refuted"
    return "confirmed" if len(live) == len(natural) else FROM_LIVE_STARTS


def natural_paths(record: dict[str, Any]) -> Claim:
    """The statement on the linear model, carried over to the nonlinear one."""
    rows = record["rows"]
    natural = [row for row in rows if row["method"] == "natural gradient"]
    live = [row for row in natural if not row["on_plateau_at_first"]]
    bends = [row["bend"] for row in live] or [math.nan]
    return Claim(
        "With the GGN as conditioner the descent is a straight line to the optimum, as in the linear model.",
        "a figure of the program, without a statement",
        f"{sum(row['in_valley'] for row in natural)} of {len(natural)} starts end in the valley theta_1 theta_2 = "
        f"{record['valley']:.3g}",
        f"arc over chord less one: {min(bends):.2g} to {max(bends):.2g}; {record['plateau_share']:.0%} of the published grid "
        "is a plateau, where gradient and GGN of the likelihood are zero and the prior alone leads to the origin",
        Judgement(
            paths_verdict(rows),
            "all starts with theta_2 > 0 reach the valley, but by bent paths: the metric is of rank one, and turns along the "
            "path. Where theta_2 < 0 it is zero, and the step is that of the prior.",
        ),
        {
            "starts_in_valley": sum(row["in_valley"] for row in natural),
            "least_bend": min(bends),
            "largest_bend": max(bends),
            "plateau_share": record["plateau_share"],
        },
    )


def _of(rows: Sequence[Row], kind: str, name: str) -> list[float]:
    return [float(row[name]) for row in rows if row["predictive"] == kind]


def log_loss_of_fit(row: Row) -> float:
    """Nats a target of the plain fit, the noise around the mean alone: from its root mean square error."""
    noise = float(row.get("noise", 1.0))
    return (float(row["rmse"]) ** 2 / noise + math.log(2 * math.pi * noise)) / 2
