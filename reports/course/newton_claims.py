"""The statements of the course on the natural gradient and Newton's method, and the rules that judge them."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.course.newton_measurements import DAMPING
from fishergauge.reports.course.newton_problems import CONVEX, DATA
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, COURSE, LedgerEntry
from fishergauge.suites.power_law import power_law_exponent

Row = dict[str, Any]
NO_FIGURES = "no figure"
NO_PROTOCOL = "the course gives no protocol"
APART = 0.01  # a relative gap that is none of rounding
FROM_THE_MODEL = (
    CONDITIONAL + "the labels are drawn from the model at the same parameters; at the observed labels H differs from F"
)
NO_RESIDUALS = CONDITIONAL + "the outputs are linear in the parameters or the residuals vanish"
CONVEX_ONLY = (
    CONDITIONAL + "the Hessian is positive definite along the way; from random weights of a network Newton's method stops early"
)


def newton_entries(results: Results) -> list[LedgerEntry]:
    """The ledger entries of the results there are."""
    rows = [row for _, record in results for row in record["rows"]]
    study = {name: [row for row in rows if row["study"] == name] for name in ("run", "convex", "network", "interpolation")}
    networks = {name: [row for row in study["run"] if row["model"] == name] for name in ("classifier", "regression")}
    found: list[tuple[int, str, str, Claim]] = []
    if study["run"] and all(networks.values()):
        found.append((1, "all models", "sec. 1 and 6", information_equality(study["run"])))
    for name in CONVEX:
        run = [row for row in study["run"] if row["model"] == name]
        paths = [row for row in study["convex"] if row["data"] == DATA[name]]
        if run and paths:
            found.append((2, DATA[name], "sec. 3 and 6, Socratic question 3", linear_models(name, run, paths)))
    for name, run in networks.items():
        noise = study["interpolation"] if name == "regression" else []
        if run:
            found.append((3, f"{DATA[name]}, network", "sec. 6, Newton's method", networks_claim(name, run, noise)))
    if study["network"]:
        found.append((4, "breast-cancer, network", "Experiments, 1", training(study["network"])))
    return [claim.entry("newton", number, data, f"{COURSE}, {section}") for number, data, section, claim in found]


def equality_verdict(rows: Sequence[Row]) -> str:
    """Confirmed for the model's labels where E[H] keeps the bound everywhere; conditional where the observed labels do not."""
    if not rows or not all(row["expected_gap"] <= row["bound"] for row in rows):
        return "refuted"
    return FROM_THE_MODEL if max(row["gap"] for row in rows) > APART else "confirmed"


def information_equality(rows: Sequence[Row]) -> Claim:
    """E[H] = F."""
    networks = [row for row in rows if row["model"] not in CONVEX]
    figures = {
        "checkpoints": float(len(rows)),
        "largest_deviation_of_expected_hessian": max(row["expected_gap"] for row in rows),
        "smallest_bound": min(row["bound"] for row in rows),
        "largest_gap_at_observed_labels": max(row["gap"] for row in rows),
        "smallest_gap_at_observed_labels_on_networks": min(row["gap"] for row in networks),
    }
    return Claim(
        '"Under regularity conditions: E[H] = F (Fisher information equality)".',
        NO_FIGURES,
        NO_PROTOCOL,
        f"the Hessians at all labels, by double backward and weighed by their probabilities, add up to F at all "
        f"{len(rows)} checkpoints, to {figures['largest_deviation_of_expected_hessian']:.1e}; at the observed labels H "
        "is off by up "
        f"to {figures['largest_gap_at_observed_labels']:.2g} of its norm",
        Judgement(
            equality_verdict(rows),
            "the expectation runs over the labels of the model, at the parameters of the moment, and needs no optimum; "
            "Newton's "
            "method has the observed labels, which add (1/M) sum_k residual_k Hess f_k.",
        ),
        figures,
    )


def linear_verdict(run: Sequence[Row], paths: Sequence[Row]) -> str:
    """Confirmed where F = H at every checkpoint, and both methods take the same steps in the same number."""
    matrices = all(row["gap"] <= row["bound"] for row in run)
    steps = all(path["deviation"] <= path["bound"] and path["converged"] for path in paths)
    counts = all(path["newton_iterations"] == path["natural_iterations"] for path in paths)
    return "confirmed" if run and paths and matrices and steps and counts else "refuted"


def linear_models(name: str, run: Sequence[Row], paths: Sequence[Row]) -> Claim:
    """F = H for models that are linear in their parameters."""
    path = paths[0]
    figures = {
        "largest_gap": max(row["gap"] for row in run),
        "bound_of_the_gap": run[0]["bound"],
        "largest_angle_in_degrees": max(row["angle"] for row in run),
        "newton_iterations": path["newton_iterations"],
        "natural_iterations": path["natural_iterations"],
        "largest_distance_of_iterates": path["deviation"],
        "bound_of_the_distance": path["bound"],
        "condition": path["condition"],
    }
    return Claim(
        f'"When do natural gradients reduce to Newton\'s method?" For {name} regression they do, as the course says of linear '
        'regression: "This is exactly the Newton method update!"',
        NO_FIGURES,
        NO_PROTOCOL,
        f"|F - H| / |H| at most {figures['largest_gap']:.1e} along a run of Adam; from zero both methods reach a "
        "gradient of 1e-9 in "
        f"{path['newton_iterations']} and {path['natural_iterations']} steps, iterates apart by {path['deviation']:.1e} (bound "
        f"{path['bound']:.1e})",
        Judgement(
            linear_verdict(run, paths),
            "the outputs are natural parameters of the likelihood, so that F is the Gauss-Newton part of H, and linear in the "
            "parameters, so that H has no other part.",
        ),
        figures,
    )


def network_verdict(run: Sequence[Row], noise: Sequence[Row]) -> str:
    """Conditional where the gap is the residual part to rounding, large at the start, and falls with the residuals."""
    if not run or not all(row["unexplained"] <= row["bound"] for row in run):
        return "refuted"
    if all(row["gap"] <= row["bound"] for row in run):
        return "confirmed"
    first, last = _ends(run)
    vanishing = all(row["gap"] <= row["bound"] for row in noise if row["noise"] == 0)
    return NO_RESIDUALS if first > APART and last < 0.5 * first and vanishing else "refuted"


def _ends(run: Sequence[Row]) -> tuple[float, float]:
    """The mean gap over the seeds at the first and at the last checkpoint."""
    steps = sorted({row["step"] for row in run})
    means = [[row["gap"] for row in run if row["step"] == step] for step in (steps[0], steps[-1])]
    return sum(means[0]) / len(means[0]), sum(means[1]) / len(means[1])


def networks_claim(name: str, run: Sequence[Row], noise: Sequence[Row]) -> Claim:
    """On a network the two matrices, and the two steps, differ by the residuals."""
    first, last = _ends(run)
    begin, end = run[0], max((row for row in run if row["seed"] == run[0]["seed"]), key=lambda row: int(row["step"]))
    figures = {
        "gap_at_the_start": first,
        "gap_at_the_end": last,
        "largest_part_not_explained_by_residuals": max(row["unexplained"] for row in run),
        "bound": begin["bound"],
        "parameters": begin["parameters"],
    }
    for label, row in (("start", begin), ("end", end)):
        for key in ("loss", "negative", "negative_share", "angle", "decrease_natural", "decrease_newton"):
            figures[f"{key}_at_the_{label}"] = row[key]
        figures[f"decrease_natural_of_length_one_at_the_{label}"] = row["decrease_natural_full"]
        figures[f"decrease_newton_of_length_one_at_the_{label}"] = row["decrease_newton_full"]
    text = ""
    if noise:
        kept = [row for row in noise if row["noise"] > 0]
        residuals, gaps = (torch.tensor([row[key] for row in kept], dtype=torch.float64) for key in ("residual", "gap"))
        figures["gap_without_noise_at_the_teacher"] = max(row["gap"] for row in noise if row["noise"] == 0)
        figures["exponent_of_gap_by_residual"] = power_law_exponent(residuals, gaps)
        text = (
            f"; at the teacher's own parameters it is proportional to the noise (exponent "
            f"{figures['exponent_of_gap_by_residual']:.4f}) and {figures['gap_without_noise_at_the_teacher']:.1e} without it"
        )
    return Claim(
        'Newton\'s step "theta - H^-1 grad L" and the natural one "theta - F^-1 grad L" agree (the course: "E[H] = F").',
        NO_FIGURES,
        NO_PROTOCOL,
        f"|F - H| / |H| falls from {first:.2g} to {last:.2g} along the run, and equals sum_k residual_k Hess f_k to "
        f"{figures['largest_part_not_explained_by_residuals']:.0e}; at the start {begin['negative']} of {begin['parameters']} "
        f"eigenvalues of H are negative, the steps stand at {begin['angle']:.0f} degrees, and decrease the loss by "
        f"{begin['decrease_natural']:.2g} (natural) and {begin['decrease_newton']:.2g} (Newton) with the same search of "
        f"lengths and damping ({DAMPING:g} of the mean eigenvalue of F); at "
        f"the end {end['negative']}, {end['angle']:.0f} degrees, {end['decrease_natural']:.2g} and "
        f"{end['decrease_newton']:.2g}{text}",
        Judgement(
            network_verdict(run, noise),
            "with outputs that are natural parameters of the likelihood F is the Gauss-Newton part of H; the rest has the "
            "residuals for weights and is indefinite in general, however small.",
        ),
        figures,
    )


def training_verdict(rows: Sequence[Row]) -> str:
    """From pairs of runs: refuted where the natural gradient fails to descend, conditional where Newton's method stops early.

    Early means: at an indefinite Hessian, or with more than twice the loss that the natural gradient ends with.
    """
    pairs = _pairs(rows)
    if not pairs:
        return "refuted"
    if not all(natural["loss"] < natural["start_loss"] for _, natural in pairs):
        return "refuted"
    early = any(newton["negative"] > 0 or newton["loss"] > 2 * natural["loss"] for newton, natural in pairs)
    return CONVEX_ONLY if early else "confirmed"


def _pairs(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Newton's and the natural row of every seed that has both."""
    by_method = {method: {row["seed"]: row for row in rows if row["method"] == method} for method in ("newton", "natural")}
    return [(by_method["newton"][seed], row) for seed, row in by_method["natural"].items() if seed in by_method["newton"]]


def training(rows: Sequence[Row]) -> Claim:
    """Where both methods lead on a network."""
    pairs = _pairs(rows)
    newton, natural = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    indefinite = sum(row["negative"] > 0 for row in newton)
    saturations = [row["saturation"] for row in newton if row["negative"] == 0]
    figures = {
        "starts": float(len(pairs)),
        "newton_ends_with_an_indefinite_hessian": float(indefinite),
        "least_saturation_at_the_other_ends": min(saturations, default=math.nan),
        "newton_ends_with_more_loss_than_it_began_with": float(sum(row["loss"] > row["start_loss"] for row in newton)),
        "newton_smallest_loss": min(row["loss"] for row in newton),
        "newton_largest_gradient": max(row["gradient"] for row in newton),
        "natural_largest_loss": max(row["loss"] for row in natural),
        "natural_smallest_eigenvalue_of_h": min(row["smallest"] for row in natural),
        "newton_smallest_eigenvalue_of_h": min(row["smallest"] for row in newton),
    }
    others = (
        f", else on plateaus where the units saturate (median |tanh| of each at least {min(saturations):.3f})"
        if saturations
        else ""
    )
    return Claim(
        '"Fisher vs Hessian: Compare natural gradients with Newton\'s method": both are methods of "maximum likelihood '
        'estimation".',
        NO_FIGURES,
        NO_PROTOCOL,
        f"a network of 29 parameters, {len(pairs)} starts: Newton's method, undamped, its length halved until the gradient "
        f"shrinks, stops at losses of {figures['newton_smallest_loss']:.2g} and more, {indefinite} times with negative "
        f"eigenvalues of H{others}; natural gradients with a search of the loss end at {figures['natural_largest_loss']:.2g} "
        "or less after 30 steps",
        Judgement(
            training_verdict(rows),
            "Newton's method solves grad L = 0, which saddles and flat regions do as well; with an indefinite H its step need "
            "not descend. F is never indefinite, so that the damped natural gradient is a direction of descent everywhere.",
        ),
        figures,
    )
