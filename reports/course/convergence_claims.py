"""The statements of the course on convergence, and the rules that judge them."""

import math
from collections.abc import Sequence
from typing import Any

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, COURSE, LedgerEntry

Row = dict[str, Any]
NO_FIGURES = "no figure; the course names the experiment only"
NO_PROTOCOL = "the course gives no protocol"
STEP_TOLERANCE = 1.0  # steps are whole; beside it one per cent
RATE_TOLERANCE = 1e-3
EXPONENT_TOLERANCE = 0.05
FIRST_ORDER = 0.1  # of a contraction, a layer: the start is so far from the solution that the next order shows
SMALL_DAMPING = CONDITIONAL + "the damping is small against the smallest eigenvalue"
NO_LONG_STEPS = (
    CONDITIONAL + "no eigenvalue of F_emp^-1 H exceeds two, as one does where residuals are much smaller than the loss assumes"
)
BY_DEPTH = CONDITIONAL + "the length of the step is divided by the number of layers"


def convergence_entries(results: Results) -> list[LedgerEntry]:
    """The ledger entries of the results there are."""
    rows = [row for _, record in results for row in record["rows"]]
    studies = {
        name: [row for row in rows if row["study"] == name] for name in ("least squares", "logistic", "noise", "deep linear")
    }
    found: list[tuple[int, str, str, Claim]] = []
    if studies["least squares"]:
        found.append((1, "least-squares", "Experiments, 6", independence(studies["least squares"])))
        found.append((2, "least-squares", "Experiments, 6", standard(studies["least squares"])))
        found.append((3, "least-squares", "sec. 5, regularization", damping(studies["least squares"])))
    if studies["logistic"]:
        found.append((4, "breast-cancer", "sec. 3, logistic regression", quadratic(studies["logistic"])))
        found.append((5, "breast-cancer", "sec. 5, empirical Fisher", empirical(studies["logistic"])))
    if studies["noise"]:
        found.append((5, "noisy-regression", "sec. 5, empirical Fisher", empirical(studies["noise"])))
    if studies["deep linear"]:
        found.append((6, "deep-linear", "sec. 4, block-diagonal and K-FAC; sec. 8", blocks(studies["deep linear"])))
    return [claim.entry("convergence", number, data, f"{COURSE}, {section}") for number, data, section, claim in found]


def steps_met(rows: Sequence[Row]) -> bool:
    """Whether all measured numbers of steps are the predicted ones, to one step and one per cent."""
    return all(
        abs(row["measured_steps"] - row["predicted_steps"]) <= STEP_TOLERANCE + 0.01 * row["predicted_steps"] for row in rows
    )


def independence_verdict(natural: Sequence[Row]) -> str:
    """Confirmed where the steps are the predicted ones, and the same at every condition number."""
    by_method: dict[str, set[int]] = {}
    for row in natural:
        by_method.setdefault(row["method"], set()).add(row["measured_steps"])
    same = all(max(steps) - min(steps) <= 1 for steps in by_method.values())
    return "confirmed" if natural and same and steps_met(natural) else "refuted"


def independence(rows: Sequence[Row]) -> Claim:
    """The natural gradient's rate does not depend on the condition number."""
    natural = [row for row in rows if row["method"].startswith("natural")]
    top = max(row["kappa"] for row in rows)
    figures = {f"steps, {row['method']}, kappa {row['kappa']:g}": row["measured_steps"] for row in natural if row["seed"] == 0}
    worst = max(abs(row["measured_rate"] - row["predicted_rate"]) for row in natural if row["predicted_rate"] > 0)
    return Claim(
        "The natural gradient converges at a rate that does not depend on the condition number "
        '("Convergence Analysis: Natural vs standard gradients on various problems").',
        NO_FIGURES,
        NO_PROTOCOL,
        f"least squares, condition numbers up to {top:g}: steps of length eta contract the error by |1 - eta|, to "
        f"{worst:.1e}; one "
        "step of length one suffices at every condition number",
        Judgement(independence_verdict(natural), "F is the Hessian, so that F^-1 H is the identity in any coordinates."),
        {**figures, "largest_deviation_of_a_rate": worst},
    )


def standard_verdict(rows: Sequence[Row]) -> str:
    """Confirmed where gradient descent and heavy ball need the predicted steps, which differ from each other."""
    return "confirmed" if rows and steps_met(rows) else "refuted"


def standard(rows: Sequence[Row]) -> Claim:
    """Gradient descent and heavy ball slow down with kappa and its root."""
    plain = [row for row in rows if row["method"] in ("gradient", "heavy ball")]
    top = max(row["kappa"] for row in rows)
    figures = {}
    for row in plain:
        if row["seed"] == 0:
            figures[f"{row['method']}, kappa {row['kappa']:g}, predicted steps"] = row["predicted_steps"]
            figures[f"{row['method']}, kappa {row['kappa']:g}, measured steps"] = row["measured_steps"]
    ends = {row["method"]: row["measured_steps"] for row in plain if row["kappa"] == top}
    rate_alone = math.log(1e-6) / math.log((math.sqrt(top) - 1) / (math.sqrt(top) + 1))
    return Claim(
        "Standard gradients slow down with the condition number (Experiments, 6).",
        NO_FIGURES,
        NO_PROTOCOL,
        "rates (k - 1)/(k + 1) of gradient descent and (sqrt k - 1)/(sqrt k + 1) of the heavy ball, each at its best "
        "length: at "
        f"k = {top:g} an error of 1e-6 takes {ends['gradient']} and {ends['heavy ball']} steps, all predicted to one "
        "step and 1 %",
        Judgement(
            standard_verdict(plain),
            "both ends of the spectrum contract at these rates; for the heavy ball they are double roots, error = (1 + "
            "n (1 + r)) r^n, "
            f"so that its rate alone would promise {rate_alone:.0f} steps.",
        ),
        figures,
    )


def damping_verdict(rows: Sequence[Row]) -> str:
    """Confirmed only if the damping is small, where steps are as predicted and grow with kappa at fixed damping."""
    if not rows or not steps_met(rows):
        return "refuted"
    methods = {row["method"] for row in rows}
    grows = False
    for method in methods:
        steps = sorted((row["kappa"], row["measured_steps"]) for row in rows if row["method"] == method)
        grows = grows or steps[-1][1] > 2 * steps[0][1]
    return SMALL_DAMPING if grows else "confirmed"


def damping(rows: Sequence[Row]) -> Claim:
    """Damping makes the rate depend on the condition number again."""
    damped = [row for row in rows if row["method"].startswith("damped")]
    top = max(row["kappa"] for row in rows)
    figures = {f"{row['method']}, kappa {row['kappa']:g}, steps": row["measured_steps"] for row in damped if row["seed"] == 0}
    ends = {row["method"]: row["measured_steps"] for row in damped if row["kappa"] == top}
    return Claim(
        'A damped natural gradient, theta - alpha (F + lambda I)^-1 grad L ("for numerical stability"), keeps its convergence.',
        NO_FIGURES,
        NO_PROTOCOL,
        f"steps of length one contract by max_i lambda / (lambda_i + lambda), as predicted: at k = {top:g} and largest "
        "eigenvalue "
        f"one, {', '.join(f'{steps} steps ({method})' for method, steps in ends.items())} in place of one",
        Judgement(
            damping_verdict(damped),
            "along eigenvalues far below lambda the step is that of gradient descent with length 1 / lambda; where lambda "
            "exceeds the smallest eigenvalue, the rate depends on the condition number again.",
        ),
        figures,
    )


def quadratic_verdict(rows: Sequence[Row]) -> str:
    """Confirmed where the exponent is two, with the predicted constant, and half steps contract by one half."""
    exponent = all(abs(row["natural_exponent"] - 2) <= EXPONENT_TOLERANCE for row in rows)
    constant = all(row["natural_constant_deviation"] <= 0.02 for row in rows)
    half = all(abs(row["natural_half_rate"] - 0.5) <= RATE_TOLERANCE for row in rows)
    return "confirmed" if rows and exponent and constant and half else "refuted"


def quadratic(rows: Sequence[Row]) -> Claim:
    """The natural gradient of logistic regression converges quadratically, gradient descent linearly."""
    figures: dict[str, float] = {}
    for row in rows:
        if row["seed"] == 0:
            figures.update({f"{row['features']} features, {key}": value for key, value in row.items() if _figure(key, value)})
    exponents = [row["natural_exponent"] for row in rows]
    logs = max(abs(math.log(row["gradient_measured_rate"]) / math.log(row["gradient_predicted_rate"]) - 1) for row in rows)
    return Claim(
        "For logistic regression the natural gradient theta - alpha F^-1 grad L, F = mean of sigma (1 - sigma) x x', is "
        "Newton's "
        "method: it converges quadratically at alpha = 1.",
        NO_FIGURES,
        NO_PROTOCOL,
        f"error after a step against error before: exponent {min(exponents):.4f} to {max(exponents):.4f}, with the constant "
        "H^-1 L'''[e, e] / 2; alpha = 1/2 contracts by 0.5; gradient descent as the spectrum at the optimum predicts "
        "(log of the "
        f"rate to {logs:.0e}), condition number up to {max(row['kappa'] for row in rows):.2g}",
        Judgement(
            quadratic_verdict(rows),
            "F = H everywhere; any other length alpha between 0 and 2 leaves the linear rate |1 - alpha|.",
        ),
        {**figures, "largest_relative_deviation_of_log_gradient_rate": logs},
    )


def _figure(key: str, value: Any) -> bool:
    return isinstance(value, float) and key.startswith(("natural", "gradient", "kappa"))


def empirical_verdict(rows: Sequence[tuple[float, float]]) -> str:
    """From pairs (predicted, measured) of rates: confirmed where none reaches one, conditional where some do, as predicted."""
    if not rows or not all(abs(measured - predicted) <= RATE_TOLERANCE * (1 + predicted) for predicted, measured in rows):
        return "refuted"
    above = [measured >= 1 for _, measured in rows]
    if all(above):
        return "refuted"
    return NO_LONG_STEPS if any(above) else "confirmed"


def empirical(rows: Sequence[Row]) -> Claim:
    """Steps with the empirical Fisher in place of the Fisher."""
    logistic = rows[0]["study"] == "logistic"
    prefix, key = ("empirical_", "features") if logistic else ("", "noise")
    pairs = [(row[f"{prefix}predicted_rate"], row[f"{prefix}measured_rate"]) for row in rows]
    figures = {f"rate at {key} {row[key]:g}": row[f"{prefix}measured_rate"] for row in rows if row["seed"] == 0}
    listed = ", ".join(f"{rate:.3g} ({name.removeprefix('rate at ')})" for name, rate in figures.items())
    worst = max(abs(measured - predicted) for predicted, measured in pairs)
    what = "logistic regression" if logistic else "linear regression, squared error, noise of standard deviation sigma"
    return Claim(
        '"Instead of true Fisher matrix, use empirical approximation", a "biased estimator but computationally tractable".',
        NO_FIGURES,
        NO_PROTOCOL,
        f"{what}: steps of length one contract errors near the optimum by the spectral radius of I - F_emp^-1 H: "
        f"{listed}; above one "
        "an error grows and changes its sign at each step",
        Judgement(
            empirical_verdict(pairs),
            "the bias is no constant: F_emp has the squared residuals in the place of the variance that the loss assumes (1/2 "
            "for squared error), so that small residuals make long steps and large ones short, slow steps: with many samples "
            "the rate is |1 - 1/(2 sigma^2)|, zero only where sigma^2 is that variance. The true Fisher takes one step or "
            "converges quadratically on the same problems.",
        ),
        {**figures, "largest_deviation_from_prediction": worst},
    )


def blocks_verdict(rows: Sequence[Row]) -> str:
    """Conditional where K-FAC has the exact blocks, contracts by |1 - L| at length one, and quadratically at length 1/L."""
    kfac = [row for row in rows if row["method"] == "kfac"]
    if not kfac or max(row["block_difference"] for row in kfac) > 1e-10:
        return "refuted"
    deep = [row for row in kfac if row["depth"] > 1]
    divided = [row for row in deep if row["length"] < 1]
    whole = [row for row in deep if row["length"] == 1]
    quick = all(row["exponent"] is not None and abs(row["exponent"] - 2) <= 0.2 for row in divided)
    if not quick:
        return "refuted"
    if whole and all(row["measured_rate"] < 0.5 for row in whole):
        return "confirmed"
    met = all(abs(row["measured_rate"] - row["predicted_rate"]) <= FIRST_ORDER * row["depth"] for row in whole)
    return BY_DEPTH if met and whole else "refuted"


def blocks(rows: Sequence[Row]) -> Claim:
    """What ignoring the interaction of layers costs."""
    figures: dict[str, float] = {
        "largest_difference_of_kfac_from_the_exact_blocks": max(row["block_difference"] for row in rows)
    }
    for row in rows:
        if row["seed"] == 0 and row["kappa"] > 1:
            name = f"depth {row['depth']}, {row['method']}, length {row['length']:.3g}"
            figures[f"{name}, first contraction"] = row["measured_rate"]
            if row["exponent"] is not None:
                figures[f"{name}, exponent"] = row["exponent"]
    whole = {row["depth"]: row for row in rows if row["seed"] == 0 and row["method"] == "kfac" and row["length"] == 1}
    listed = ", ".join(f"{row['measured_rate']:.2f} (depth {depth})" for depth, row in whole.items())
    return Claim(
        '"Block-diagonal: Ignore off-diagonal interactions"; K-FAC\'s Delta W = G^-1 (grad) A^-1 is a natural-gradient step.',
        NO_FIGURES,
        NO_PROTOCOL,
        "deep linear networks, where K-FAC has the exact blocks: with length one the error of the function is multiplied by "
        f"|1 - L| to first order, measured {listed}; with length 1/L it converges quadratically, at any condition "
        "number of the "
        "inputs, like the whole Fisher with length one",
        Judgement(
            blocks_verdict(rows),
            "each of the L square layers alone makes the whole correction, so that the sum is L times too long (Bernacchia et "
            "al. 2018).",
        ),
        figures,
    )
