"""The claims of the source on its linear regression, and the rules that judge them."""

import math
import statistics

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.gauss_newton.vector_field_paths import PRECISION, is_line
from fishergauge.reports.gauss_newton.vector_field_tables import Found, Row, column, distances_by_count, quantile
from fishergauge.reports.ledger import CONDITIONAL, GGN_EXPERIMENTS, LedgerEntry
from fishergauge.suites.power_law import power_law_exponent

SOURCE = f"{GGN_EXPERIMENTS}; section Linear models"
DATA = "log-normal"
CURVED = 1e-3  # a path that strays by more than this share of its length is no straight line by any reading
POOR, GOOD = 0.5, 0.05  # relative distances of a matrix that represents another one badly, and well


def vector_field_entries(name: str, found: Found) -> list[LedgerEntry]:
    """The ledger entries; all three records are needed."""
    claims = (straight_claim(found), ggn_claim(found), representation_claim(found), reason_claim(found))
    return [claim.entry(name, number, DATA, SOURCE) for number, claim in enumerate(claims, 1)]


def straight_verdict(consistent: bool, noticed: bool, mixed: bool) -> str:
    """Confirmed if the paths are straight; on a condition if those with the prior in the gradient alone are not.

    Args:
        consistent: whether all paths are straight whose matrix and gradient are of the same objective.
        noticed: whether the paths of the plain gradient are found to be curved.
        mixed: whether paths are straight as well with the prior in the gradient and not in the matrix.
    """
    if not (consistent and noticed):
        return "refuted"
    return "confirmed" if mixed else f"{CONDITIONAL}the precision of the prior is in the matrix where it is in the gradient"


def straight_claim(found: Found) -> Claim:
    """That natural-gradient paths are straight lines."""
    rows, drawn = found.paths, found.drawn_paths
    published = [row for row in rows if row["method"] == "ggn"]
    consistent = [row for row in drawn if row["method"] == "ggn" and row["reading"] != "mixed"]
    mixed = [row for row in drawn if row["method"] == "ggn" and row["reading"] == "mixed"]
    gradient = [row for row in rows if row["method"] == "gradient"]
    angles = {method: column(found.grid, f"{method}_angle") for method in ("gradient", "ggn")}
    figures = {
        "published_largest_arc_over_chord": max(column(published, "arc_over_chord")),
        "published_largest_bow": max(column(published, "bow")),
        "published_bound": min(column(published, "bound")),
        "draws_largest_bow": max(column(consistent, "bow")),
        "draws_largest_arc_over_chord": max(column(consistent, "arc_over_chord")),
        "draws_bound": min(column(consistent, "bound")),
        "mixed_largest_bow": max(column(mixed, "bow")),
        "mixed_largest_arc_over_chord": max(column(mixed, "arc_over_chord")),
        "gradient_largest_bow": max(column(gradient, "bow")),
        "gradient_largest_arc_over_chord": max(column(gradient, "arc_over_chord")),
        "ggn_largest_angle_degrees": max(angles["ggn"]),
        "gradient_median_angle_degrees": statistics.median(angles["gradient"]),
    }
    figures |= {f"steps_{method}_most": max(column(rows, "steps", method=method)) for method in ("gradient", "ggn")}
    verdict = straight_verdict(
        all(map(is_line, published + consistent)),
        any(row["bow"] > CURVED for row in gradient) and not any(map(is_line, gradient)),
        all(map(is_line, mixed)),
    )
    return Claim(
        statement="The GGN is used to condition the gradient, and the descent becomes perfectly linear.",
        published="a figure: four straight lines; the program adds the prior's precision over N to the GGN",
        as_published=f"arc over chord less one at most {figures['published_largest_arc_over_chord']:.0e}, distance from the "
        f"line to the optimum {figures['published_largest_bow']:.0e} of its length (bound {figures['published_bound']:.0e}, by "
        f"the ridge 1e-8); plain gradient {figures['gradient_largest_arc_over_chord']:.2f} and "
        f"{figures['gradient_largest_bow']:.2f}; steps of {found.published['step']:g} to 1e-6: up to "
        f"{figures['steps_ggn_most']:.0f} against {figures['steps_gradient_most']:.0f} of a third of that length",
        as_it_should_be="other draws, no ridge, the prior in both places or in neither: distance from the line at most "
        f"{figures['draws_largest_bow']:.0e}, bound {figures['draws_bound']:.0e}; with the prior in the gradient alone, as the "
        f"README writes the GGN, {figures['mixed_largest_bow']:.1e}; angle to the direction of the optimum over the grid at "
        f"most {figures['ggn_largest_angle_degrees']:.0e} degrees, for the gradient in the median "
        f"{figures['gradient_median_angle_degrees']:.0f}",
        judged=Judgement(verdict, _straight_reason(verdict)),
        figures=figures,
    )


def _straight_reason(verdict: str) -> str:
    if verdict == "refuted":
        return (
            "some path of the GGN strays further from its line than rounding explains, or the gradient's paths are not curved."
        )
    return (
        "where matrix and gradient are of one quadratic objective, P^-1 grad L = theta - theta*: steps of any length keep to "
        "the line, one of length 1 ends at the optimum. With the prior in the gradient alone the two modes decay at different "
        f"rates, 1 + {PRECISION:g} / lambda, and the path bends a little."
    )


def ggn_verdict(linear: list[Row], nonlinear: list[Row]) -> str:
    """Confirmed where the linear models keep the bound and the nonlinear one is told apart."""
    exact = bool(linear) and all(row["distance"] <= row["bound"] for row in linear)
    noticed = bool(nonlinear) and all(row["distance"] > CURVED for row in nonlinear)
    return "confirmed" if exact and noticed else "refuted"


def ggn_claim(found: Found) -> Claim:
    """That the GGN of a linear model is its Hessian."""
    rows = found.published["ggn"]
    linear = [row for row in rows if row["model"].startswith("linear")]
    nonlinear = [row for row in rows if not row["model"].startswith("linear")]
    hessian = [found.published["second"][i][i] for i in (0, 1)], found.published["second"][0][1]
    norm = math.hypot(*hessian[0], hessian[1], hessian[1])
    figures = {
        "largest_distance_squared_error": max(column(rows, "distance", model="linear, squared error")),
        "largest_distance_logistic": max(column(rows, "distance", model="linear, logistic")),
        "least_distance_relu": min(column(nonlinear, "distance")),
        "bound": max(column(linear, "bound")),
        "prior_over_hessian": PRECISION * math.sqrt(2) / norm,
    }
    return Claim(
        statement="Where f is a linear function of theta, the GGN is an exact representation of the Hessian.",
        published="because the second derivative of f is zero",
        as_published="relative distance from the Hessian by double backward passes, at the starts, the optimum and the "
        f"truth: at most {figures['largest_distance_squared_error']:.0e}, bound {figures['bound']:.0e}",
        as_it_should_be=f"the same with a logistic likelihood: {figures['largest_distance_logistic']:.0e}; with the nonlinear "
        f"theta_1 relu(theta_2 x): at least {figures['least_distance_relu']:.2f}",
        judged=Judgement(
            ggn_verdict(linear, nonlinear),
            "the Hessian is the GGN plus the second derivatives of f weighed by slopes of the loss, and those vanish, "
            "whatever the likelihood. It is the Hessian of the likelihood; that of the objective has the prior's precision as "
            f"well, here {figures['prior_over_hessian']:.1%} of it.",
        ),
        figures=figures,
    )


def representation_verdict(grid_median: float, at_truth: float) -> str:
    """On a condition where the matrix is poor over the grid and good at the truth.

    Args:
        grid_median: relative distance from the Hessian over the grid, median.
        at_truth: the same at the true parameters with the most samples.
    """
    if grid_median < POOR:
        return "refuted"
    if at_truth < GOOD:
        return f"{CONDITIONAL}the parameters are away from those that made the data, or the noise is not the assumed one"
    return "confirmed"


def representation_claim(found: Found) -> Claim:
    """That the empirical Fisher represents the Hessian badly."""
    grid, truth = found.grid, distances_by_count(found.samples, "truth")
    distances, angles = column(grid, "distance"), column(grid, "empirical_angle")
    most = max(truth)
    paths = [row for row in found.paths if row["method"] == "empirical"]
    reach = [value for what, value in found.population.items() if what.startswith("radius")]
    figures = {
        "grid_median_distance": statistics.median(distances),
        "grid_largest_distance": max(distances),
        "grid_median_distance_up_to_a_factor": statistics.median(column(grid, "scaled_distance")),
        "grid_median_eigenvector_angle_degrees": statistics.median(column(grid, "eigenvector_angle")),
        "grid_median_update_angle_degrees": statistics.median(angles),
        "grid_95_percent_update_angle_degrees": quantile(angles, 0.95),
        "grid_share_of_updates_leading_away": sum(angle > 90 for angle in angles) / len(angles),
        "optimum_distance_published_data": column(found.published["split"], "left_out", place="optimum")[0],
        "truth_exponent_in_samples": power_law_exponent(truth.keys(), truth.values()),
        "radius_of_100_percent_least": min(reach),
        "radius_of_100_percent_largest": max(reach),
        "largest_arc_over_chord": max(column(paths, "arc_over_chord")),
        "scale_at_wrong_noise": next(value for what, value in found.population.items() if what.startswith("ratio")),
        "fewest_steps": min(column(paths, "steps")),
        "most_steps": max(column(paths, "steps")),
    }
    figures |= {f"truth_distance_{count}_samples": value for count, value in truth.items()}
    return Claim(
        statement="The empirical Fisher is not a good representation of the Hessian.",
        published="a figure: paths with sharp turns",
        as_published="medians over the figure's grid: relative distance from the Hessian "
        f"{figures['grid_median_distance']:.0f}, with the best factor "
        f"{figures['grid_median_distance_up_to_a_factor']:.2f}; leading eigenvector off by "
        f"{figures['grid_median_eigenvector_angle_degrees']:.0f} degrees, update off the direction of the optimum by "
        f"{figures['grid_median_update_angle_degrees']:.0f}; it leads away from it at "
        f"{figures['grid_share_of_updates_leading_away']:.0%} of the points; paths are up to "
        f"{1 + figures['largest_arc_over_chord']:.1f} times as long as their chord",
        as_it_should_be=f"at the true parameters the distance is {truth[min(truth)]:.2g} for {min(truth)} samples and "
        f"{truth[most]:.2g} for {most} (median of the draws; exponent {figures['truth_exponent_in_samples']:.2f}), "
        f"at the optimum of the published data {figures['optimum_distance_published_data']:.2f}; with unlimited data it is off "
        f"by 100 % at {figures['radius_of_100_percent_least']:.2f} to {figures['radius_of_100_percent_largest']:.2f} from the "
        "truth, depending on the direction",
        judged=Judgement(
            representation_verdict(figures["grid_median_distance"], truth[most]),
            "its expectation at the deviation d from the truth is the mean of (1 + (d'x)^2) x x': the Hessian at d = 0, if the "
            "noise has the assumed variance, and off by the square of d elsewhere, in size more than in shape. With noise "
            f"of twice the assumed deviation it is {figures['scale_at_wrong_noise']:.2g} times the Hessian at the truth.",
        ),
        figures=figures,
    )


def reason_verdict(identity: bool, everywhere: bool, cancellation: float) -> str:
    r"""Whether :math:`\nabla^2 b_n \ne 0` is the reason: only where the terms do not cancel.

    Args:
        identity: whether Hessian less empirical Fisher is the mean of :math:`-\nabla^2 b_n / b_n`.
        everywhere: whether every :math:`\nabla^2 b_n` differs from zero at every place, at the truth as well.
        cancellation: norm of the mean of the terms over the mean of their norms, at the truth, with the most samples.
    """
    if not (identity and everywhere):
        return "refuted"
    return "confirmed" if cancellation > GOOD else f"{CONDITIONAL}the terms do not cancel in their sum over the data"


def reason_claim(found: Found) -> Claim:
    """That the second derivatives of the densities are the reason."""
    split = found.published["split"]
    most = max(row["samples"] for row in found.samples)
    at_truth = [row for row in found.samples if row["samples"] == most and row["place"] == "truth"]
    figures = {
        "largest_error_of_the_identity": max(column(split, "sum_against_hessian")),
        "bound_of_the_identity": min(column(split, "bound")),
        "product_against_empirical_fisher": max(column(split, "product_against_empirical")),
        "share_of_samples_not_zero": min(column(split, "share_not_zero")),
        "left_out_at_starts_least": min(row["left_out"] for row in split if row["place"].startswith("start")),
        "left_out_at_starts_largest": max(row["left_out"] for row in split if row["place"].startswith("start")),
        "left_out_at_truth": column(split, "left_out", place="truth")[0],
        "mean_of_norms_at_truth": statistics.median(column(at_truth, "mean_of_norms")),
        "norm_of_mean_at_truth": statistics.median(column(at_truth, "norm_of_mean")),
        "samples": most,
    }
    identity = all(row["sum_against_hessian"] <= row["bound"] >= row["product_against_empirical"] for row in split)
    everywhere = figures["share_of_samples_not_zero"] == 1
    cancellation = figures["norm_of_mean_at_truth"] / figures["mean_of_norms_at_truth"]
    return Claim(
        statement="It is none, with the split a = -log b, b = p(y | f), as the second derivative of b_n is not zero.",
        published="no figure; b is written as p(y_n | b_n), for p(y_n | f_n)",
        as_published="Hessian = empirical Fisher - (1/N) sum (1/b_n) nabla^2 b_n, by automatic differentiation of b_n: the two "
        f"sides differ by {figures['largest_error_of_the_identity']:.0e}; the sum is "
        f"{figures['left_out_at_starts_least']:.0f} to {figures['left_out_at_starts_largest']:.0f} times the Hessian at the "
        "starts",
        as_it_should_be=f"at the truth, where the empirical Fisher is good, no nabla^2 b_n is zero either: with {most} samples "
        f"the norms of (1/b_n) nabla^2 b_n are {figures['mean_of_norms_at_truth']:.1f} in the mean, the norm of their mean is "
        f"{figures['norm_of_mean_at_truth']:.3f}",
        judged=Judgement(
            reason_verdict(identity, everywhere, cancellation),
            "the sum is exactly what the empirical Fisher leaves out, but that its terms are not zero does not decide: here "
            "(1/b) nabla^2 b = (r^2 - 1) x x', whose mean vanishes where the residuals have the assumed variance, as densities "
            "integrate to one. The mean is the reason, not its terms.",
        ),
        figures=figures,
    )
