"""The statements of the course on invariance, and the rules that judge them."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, COURSE, LedgerEntry
from fishergauge.suites.power_law import power_law_exponent

Row = dict[str, Any]
DATA = "digits, teacher's labels"
NO_FIGURES = "no figure"
NO_PROTOCOL = "the course gives no protocol"
APART = 1e-3  # of the outputs' range: a difference that a reader of the curve would see
ORDERS = (0.8, 1.25)  # of a deviation that is first order in the step, at the two smallest steps
LINEAR_OR_SMALL = CONDITIONAL + "the reparametrisation is affine, or the step tends to zero within the range of the map"
SCALINGS = CONDITIONAL + "parameters are merely scaled"
UNDAMPED = CONDITIONAL + "the damping tends to zero"


def parametrisation_entries(results: Results) -> list[LedgerEntry]:
    """The ledger entries of the results there are."""
    rows = [row for _, record in results for row in record["rows"]]
    study = {name: [row for row in rows if row["study"] == name] for name in ("linear", "smooth", "damped", "law")}
    found: list[tuple[int, str, Claim]] = []
    if study["linear"] and study["smooth"]:
        exact = [row for row in study["linear"] if row["method"] == "exact"]
        found.append((1, "theorem 2.1; Experiments, 3", theorem(exact, study["smooth"], study["law"])))
        found.append((2, "Socratic question 1", standard(study["linear"], study["smooth"])))
    if study["linear"]:
        found.append((3, "sec. 4, K-FAC", kronecker([row for row in study["linear"] if row["method"] == "kfac"])))
    if any(row["family"] == "scaling" for row in study["linear"]):
        found.append((4, "sec. 6, adaptive methods", adaptive(study["linear"])))
    if study["damped"]:
        found.append((5, "sec. 5, regularization; theorem 2.1", damping(study["damped"])))
    return [claim.entry("parametrisation", number, DATA, f"{COURSE}, {section}") for number, section, claim in found]


def size(row: Row) -> float:
    """The deviation of the outputs, infinite where the curve diverged."""
    return math.inf if row["deviation"] is None else float(row["deviation"])


def order(rows: Sequence[Row]) -> float:
    """The order in the step of a deviation, from the two smallest steps; NaN with fewer, or where it is zero or infinite."""
    smallest = sorted(rows, key=lambda row: float(row["length"]))[:2]
    if len(smallest) < 2 or not all(0 < size(row) < math.inf for row in smallest):
        return math.nan
    return math.log(size(smallest[1]) / size(smallest[0])) / math.log(smallest[1]["length"] / smallest[0]["length"])


def orders(rows: Sequence[Row], method: str, inside: bool = True) -> dict[tuple[str, int], float]:
    """The order for every smooth map and seed, of the paths within the range of the map, or of those that leave it."""
    keys = dict.fromkeys((row["family"], row["seed"]) for row in rows)
    found = {}
    for key in keys:
        own = [row for row in rows if (row["family"], row["seed"]) == key and row["method"] == method]
        if own and all(row["within_chart"] for row in own) == inside:
            found[key] = order(own)
    return found


def theorem_verdict(linear: Sequence[Row], smooth: Sequence[Row]) -> str:
    """Conditional where linear maps keep the bound of rounding, and smooth ones leave it by a deviation of first order."""
    natural = [row for row in smooth if row["method"] == "exact" and row["within_chart"]]
    if not linear or not natural or not all(size(row) <= row["bound"] for row in linear):
        return "refuted"
    if all(size(row) <= row["bound"] for row in natural):
        return "confirmed"
    found = orders(smooth, "exact").values()
    return LINEAR_OR_SMALL if found and all(ORDERS[0] <= value <= ORDERS[1] for value in found) else "refuted"


def theorem(linear: Sequence[Row], smooth: Sequence[Row], law: Sequence[Row]) -> Claim:
    """Theorem 2.1 on training curves."""
    natural = [row for row in smooth if row["method"] == "exact" and row["within_chart"]]
    found, outside = orders(smooth, "exact"), orders(smooth, "exact", inside=False)
    longest = max(row["length"] for row in natural)
    figures = {
        "linear_maps": float(len(linear)),
        "linear_maps_beyond_the_bound": float(sum(size(row) > row["bound"] for row in linear)),
        "linear_largest_deviation": max(size(row) for row in linear),
        "linear_largest_condition": max(row["condition"] for row in linear),
        "linear_largest_slack": max(size(row) / row["bound"] for row in linear),
        "smooth_largest_deviation": max(size(row) for row in natural if row["length"] == longest),
        "smooth_longest_step": longest,
    }
    figures.update({f"order under {family}, seed {seed}": value for (family, seed), value in found.items()})
    figures.update({f"order beyond the range of {family}, seed {seed}": value for (family, seed), value in outside.items()})
    if law:
        figures["law_largest_deviation"] = max(max(row["course_form"], row["pull_back"]) for row in law)
        figures["law_largest_slack"] = max(max(row["course_form"], row["pull_back"]) / row["bound"] for row in law)
        figures["law_smallest_deviation_transposed"] = min(
            row["transposed"] for row in law if row["family"] in ("affine", "dense")
        )
    left = f"; {len(outside)} paths leave the range of exp, where no step is small enough" if outside else ""
    values = list(found.values())
    return Claim(
        '"Theorem 2.1: Natural gradient updates are invariant under smooth reparameterizations of the model."',
        NO_FIGURES,
        NO_PROTOCOL,
        f"curves of the exact natural gradient, Fisher computed anew: {len(linear)} linear maps within the bound of "
        "rounding (largest "
        f"deviation {figures['linear_largest_deviation']:.1e} of the outputs' range, at condition numbers of F up to "
        f"{figures['linear_largest_condition']:.0e}); smooth maps deviate by up to "
        f"{figures['smooth_largest_deviation']:.2g} at steps "
        f"of {longest:g} and fall with them, order {min(values, default=math.nan):.2f} to "
        f"{max(values, default=math.nan):.2f}{left}",
        Judgement(
            theorem_verdict(linear, smooth),
            "the direction is a vector and transforms by J, as the proof says; the finite update adds it to "
            "coordinates, and the second "
            "derivative of h makes the two ends differ by O(eta^2) a step, O(eta) at a given time. The law J^-T F J^-1 with "
            "J = dh/dtheta is right (T' F T for theta = T phi).",
        ),
        figures,
    )


def standard_verdict(linear: Sequence[Row], smooth: Sequence[Row]) -> str:
    """Confirmed where gradient descent differs visibly under every map, at every step."""
    rows = [row for row in [*linear, *smooth] if row["method"] == "sgd"]
    return "confirmed" if rows and all(size(row) > APART for row in rows) else "refuted"


def standard(linear: Sequence[Row], smooth: Sequence[Row]) -> Claim:
    """Standard gradients depend on the coordinates."""
    plain, found = [row for row in linear if row["method"] == "sgd"], orders(smooth, "sgd")
    everything = [row for row in [*linear, *smooth] if row["method"] == "sgd"]
    figures = {
        "smallest_deviation": min(size(row) for row in everything),
        "largest_deviation_under_linear_maps": max(size(row) for row in plain),
        "largest_order_under_smooth_maps": max((abs(value) for value in found.values()), default=math.nan),
    }
    return Claim(
        '"Why are natural gradients invariant to parameter reparameterization while standard gradients are not?"',
        NO_FIGURES,
        NO_PROTOCOL,
        f"gradient descent from the same function: curves differ by at least {figures['smallest_deviation']:.2g} of the "
        "outputs' range "
        f"under every map; under smooth ones the difference does not fall with the step (order at most "
        f"{figures['largest_order_under_smooth_maps']:.2f} in modulus)",
        Judgement(
            standard_verdict(linear, smooth),
            "in other coordinates the gradient flow itself is another one, along T T' grad L, unless T is orthogonal.",
        ),
        figures,
    )


def kronecker_verdict(rows: Sequence[Row]) -> str:
    """Confirmed where every curve keeps the bound of rounding."""
    return "confirmed" if rows and all(size(row) <= row["bound"] for row in rows) else "refuted"


def kronecker(rows: Sequence[Row]) -> Claim:
    """K-FAC under affine maps of what enters and leaves the layers."""
    figures = {
        "maps": float(len(rows)),
        "largest_deviation": max(size(row) for row in rows),
        "largest_slack": max(size(row) / row["bound"] for row in rows),
        "largest_condition_of_a_block": max(row["condition"] for row in rows),
    }
    families = dict.fromkeys(row["family"] for row in rows)
    return Claim(
        "K-FAC's step Delta W = G^-1 (grad) A^-1, undamped and with the bias joined to the weight, is as independent of the "
        "parameterisation as the natural gradient, for affine maps of activations and pre-activations.",
        "the course gives the step; that it is invariant is theorem 1 of Martens and Grosse (2015)",
        NO_PROTOCOL,
        f"curves under {len(rows)} maps ({', '.join(families)}): within {figures['largest_deviation']:.1e} of the "
        "outputs' range",
        Judgement(
            kronecker_verdict(rows),
            "maps of that kind are Kronecker products within each layer, and the factors follow them (Martens and Grosse 2015, "
            "theorem 1); under maps that mix layers there are no layers left to factorise.",
        ),
        figures,
    )


def adaptive_verdict(diagonal: Sequence[Row], adam: Sequence[Row]) -> str:
    """From rows under scalings: confirmed where both are invariant, refuted where the diagonal is and Adam is not."""
    if adam and all(size(row) <= row["bound"] for row in adam):
        return "confirmed"
    return (
        "refuted" if adam and diagonal and all(size(row) <= row["bound"] for row in diagonal) else "not testable as published"
    )


def adaptive(rows: Sequence[Row]) -> Claim:
    """The diagonal of the Fisher, and Adam, under scalings and under other maps."""

    def part(method: str, scalings: bool) -> list[Row]:
        return [row for row in rows if row["method"] == method and (row["family"] == "scaling") == scalings]

    figures = {}
    for method in ("diagonal", "adam"):
        figures[f"{method}_largest_deviation_under_scalings"] = max((size(row) for row in part(method, True)), default=math.nan)
        figures[f"{method}_smallest_deviation_under_other_maps"] = min(
            (size(row) for row in part(method, False)), default=math.nan
        )
    return Claim(
        'If Adam is a "diagonal approximation of natural gradient", it keeps under scalings of the features what the diagonal '
        "of the Fisher keeps: the curve.",
        NO_FIGURES,
        NO_PROTOCOL,
        f"curves under scalings of the features: the diagonal of the Fisher deviates by "
        f"{figures['diagonal_largest_deviation_under_scalings']:.1e} of the outputs' range, Adam by "
        f"{figures['adam_largest_deviation_under_scalings']:.2g}; under other maps the diagonal by at least "
        f"{figures['diagonal_smallest_deviation_under_other_maps']:.2g}, Adam by "
        f"{figures['adam_smallest_deviation_under_other_maps']:.2g}",
        Judgement(
            adaptive_verdict(part("diagonal", True), part("adam", True)),
            "Adam divides by the root of a mean square of gradients, so that its step in theta carries the scale of the "
            "coordinates; without the root it would not. The diagonal itself is invariant "
            f"{SCALINGS.removeprefix('confirmed ')}.",
        ),
        figures,
    )


def damping_verdict(rows: Sequence[Row]) -> str:
    """Conditional where the deviation falls in proportion to the damping and is visible at the largest one."""
    ordered = sorted(rows, key=lambda row: float(row["damping"]))
    if len(ordered) < 2:
        return "refuted"
    largest = max(row["damping"] for row in rows)
    if all(size(row) <= row["bound"] for row in rows):
        return "confirmed"
    visible = all(size(row) > APART for row in rows if row["damping"] == largest)
    return UNDAMPED if visible and 0.8 <= damping_exponent(rows) <= 1.2 else "refuted"


def damping_exponent(rows: Sequence[Row]) -> float:
    """The exponent of the deviation by the damping, where the mean over the seeds is below a hundredth."""
    dampings = sorted({row["damping"] for row in rows})
    means = [sum(size(row) for row in rows if row["damping"] == d) / sum(row["damping"] == d for row in rows) for d in dampings]
    kept = [(d, mean) for d, mean in zip(dampings, means, strict=True) if mean < 0.01][:4]
    if len(kept) < 2:
        return math.nan
    found = torch.tensor(kept, dtype=torch.float64)
    return power_law_exponent(found[:, 0], found[:, 1])


def damping(rows: Sequence[Row]) -> Claim:
    """What damping costs of the invariance."""
    figures = {f"deviation at lambda {row['damping']:g}": size(row) for row in rows if row["seed"] == 0}
    exponent = damping_exponent(rows)
    figures["exponent_at_small_dampings"] = exponent
    low, high = min(rows, key=lambda row: float(row["damping"])), max(rows, key=lambda row: float(row["damping"]))
    return Claim(
        'The damped step, theta - alpha (F + lambda I)^-1 grad L ("for numerical stability"), is a natural gradient '
        'still: "natural '
        'gradients are independent of parameterization".',
        NO_FIGURES,
        NO_PROTOCOL,
        f"affine maps of condition number {rows[0]['kappa']:g}, lambda in units of the mean eigenvalue of F: curves deviate by "
        f"{size(low):.1e} at lambda = {low['damping']:g} and {size(high):.2g} at {high['damping']:g}, in proportion to "
        "lambda where it "
        f"is small (exponent {exponent:.2f})",
        Judgement(
            damping_verdict(rows),
            "I is not the metric of the model and stays I: in other coordinates lambda I stands for lambda T^-T T^-1.",
        ),
        figures,
    )
