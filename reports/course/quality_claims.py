"""The claims on the quality of approximations, judged by rules."""

import math
from collections.abc import Sequence
from typing import Any

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.course.quality_tables import DAMPED, GAIN, mean, pooled, predictions, select, table
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, COURSE, LedgerEntry

Row = dict[str, Any]

CLEAR = 6.0  # standard deviations of a sum of hundreds of terms: more than draws of the labels explain
QUIET, SHARP = 2.0, 0.1  # what draws do explain, and a deviation of the trace small enough to have shown a bias
GOOD = 0.8  # of the exact step's decrease at equal divergence
NEAR = 0.3  # relative error of a matrix that is called near: it has nine tenths of the squared norm
PREDICTS = 0.7  # a rank correlation
SAID_NOTHING = "no figure"


def quality_entries(results: Results) -> list[LedgerEntry]:
    """The ledger entries; those without figures are left out."""
    rows, points = table(results), table(results, "points")
    control = table(results, protocol="published")
    claims: list[tuple[str, str, Claim]] = []
    if rows and points:
        lines = pooled(rows)
        claims += [
            ("digits", "sec. 8, empirical approximation", biased(points, lines)),
            ("digits", "sec. 5, empirical Fisher; experiment 4", empirical_performance(lines)),
        ]
    if control:
        claims.append(("linear regression", "sec. 5, empirical Fisher", multiples(control)))
    if rows and points:
        claims += [
            ("digits", "sec. 8, exact computation", without_draws(points, lines)),
            ("digits", "sec. 4, block-diagonal approximations", structure(BLOCKS, lines)),
            ("digits", "sec. 4, K-FAC", structure(KFAC, lines)),
            ("digits", "sec. 6, adaptive methods", structure(DIAGONAL, lines)),
            ("digits", "sec. 8, low-rank approximation", structure(LOW_RANK, lines)),
            ("digits", "experiment 4; exercises, research 2", prediction(predictions(rows))),
        ]
    numbers = {"linear regression": 3}
    order = iter(number for number in range(1, 10) if number != 3)
    return [
        claim.entry("quality", numbers.get(data) or next(order), data, f"{COURSE}, {section}")
        for data, section, claim in claims
    ]


def bias_verdict(deviations: Sequence[float], spreads: Sequence[float]) -> str:
    """Biased where the trace lies further from its expectation than draws of the labels explain, anywhere.

    Args:
        deviations: of the trace, in standard deviations.
        spreads: these standard deviations over the trace of the Fisher; where they are large no bias would be seen.
    """
    if any(abs(z) > CLEAR for z in deviations):
        return "confirmed"
    unbiased = all(abs(z) <= QUIET for z in deviations) and all(spread <= SHARP for spread in spreads)
    return "refuted" if unbiased else "not testable as published"


def biased(points: Sequence[Row], lines: Sequence[Row]) -> Claim:
    """The claim that the empirical Fisher is biased, but tractable."""
    names = list(dict.fromkeys(point["point"] for point in points))
    ratio = {
        name: mean([p["trace_empirical"] / p["trace_fisher"] for p in select(points, point=name)]) or 0.0 for name in names
    }
    deviations = {name: max((p["z"] for p in select(points, point=name)), key=abs) for name in names}
    error = {name: average(lines, "empirical-fisher", "matrix_error", name) for name in names}
    drawn = {name: average(lines, "monte-carlo-1", "matrix_error", name) for name in names}
    figures = {f"trace ratio, {name}": value for name, value in ratio.items()}
    figures |= {f"largest z, {name}": value for name, value in deviations.items()}
    figures |= {f"matrix error, {name}": value for name, value in error.items()}
    figures |= {f"matrix error of one draw, {name}": value for name, value in drawn.items()}
    spreads = [p["spread"] for p in points]
    figures |= {"deviation of the trace by draws, least": min(spreads), "deviation of the trace by draws, most": max(spreads)}
    verdict = bias_verdict(list(deviations.values()), spreads)
    unclear = " Here there are too few labels to tell." if verdict.startswith("not") else ""
    return Claim(
        statement='"Biased estimator but computationally tractable": the empirical Fisher at the labels of the data is biased.',
        published="no figure",
        as_published=f"tr EF / tr F: {listed(ratio)}; |EF - F| / |F|: {listed(error)}",
        as_it_should_be=(
            "against what labels drawn from the model would give, the trace is off by "
            f"{listed(deviations, '.1f')} standard deviations; one draw a sample, which costs the same and is unbiased, has "
            f"the matrix error {listed(drawn)}"
        ),
        judged=Judgement(
            verdict,
            "its expectation is the Fisher only if the labels are the model's. As they are fitted it falls faster than the "
            "Fisher: of two classes, a label of probability p has the squared residual (1 - p)^2, and p (1 - p) is expected. "
            f"It is tractable as one drawn label is, which costs the same, see EFFICIENCY.7.{unclear}",
        ),
        figures=figures,
    )


def performance_verdict(gains: dict[str, float]) -> str:
    """Confirmed where it gains enough in the mean over networks and points: single ones lie on either side of any line."""
    return "confirmed" if gains and mean_of(gains) >= GOOD else "refuted"


def empirical_performance(lines: Sequence[Row]) -> Claim:
    """The claim that the empirical Fisher can stand in the place of the true one."""
    gains = by_place(lines, "empirical-fisher", GAIN)
    plain, tenfold = by_place(lines, "gradient", GAIN), by_place(lines, "monte-carlo-10", GAIN)
    behind = [place for place in gains if gains[place] < plain[place]]
    figures = {f"gain, {place}": gain for place, gain in gains.items()}
    figures |= {f"gain of the gradient, {place}": gain for place, gain in plain.items()}
    figures |= {f"gain of ten draws, {place}": gain for place, gain in tenfold.items()}
    return Claim(
        statement='The empirical Fisher stands for the true one: "Instead of true Fisher matrix, use empirical approximation".',
        published=SAID_NOTHING,
        as_published=f"decrease of the loss at KL 1e-4 relative to the exact Fisher's step: {listed(gains)}",
        as_it_should_be=f"the plain gradient at the same KL: {listed(plain)}; Monte-Carlo with ten draws: {listed(tenfold)}",
        judged=Judgement(
            performance_verdict(gains),
            f"enough means {GOOD:g} of the exact step's decrease in the mean, which is {mean_of(gains):.2f} for the empirical "
            f"Fisher, {mean_of(plain):.2f} for the plain gradient and {mean_of(tenfold):.2f} for ten drawn labels a sample. "
            "The empirical Fisher falls behind the plain gradient " + (f"at {'; '.join(behind)}." if behind else "nowhere."),
        ),
        figures=figures,
    )


def multiples_verdict(rows: Sequence[Row]) -> str:
    """It must be the Fisher at residuals of one sigma; if it is not at others, their size is the condition."""
    if any(abs(row["ratio"] - 1) > NEAR for row in rows if row["multiple"] == 1):
        return "refuted"
    other = any(abs(row["ratio"] - 1) > NEAR for row in rows)
    return f"{CONDITIONAL}the residuals have the size that the model says" if other else "confirmed"


def multiples(rows: Sequence[Row]) -> Claim:
    """The claim that the average over observed labels approximates F, where its value is known."""
    ratios = {f"|r| = {row['multiple']:g} sigma": row["ratio"] for row in rows}
    return Claim(
        statement='"F̂(θ) = (1/n)∑ᵢ ∇log p(yᵢ|xᵢ,θ)∇log p(yᵢ|xᵢ,θ)ᵀ" at the actual labels approximates F.',
        published=SAID_NOTHING,
        as_published=f"linear regression with all residuals of one size, tr EF / tr F: {listed(ratios, '.4g')}",
        as_it_should_be=f"EF = c^2 F for residuals of c sigma; largest distance {max(row['distance'] for row in rows):.1e}",
        judged=Judgement(
            multiples_verdict(rows),
            "the residuals' size enters as a factor: 4 F at two standard deviations, nothing at interpolation, where F stays.",
        ),
        figures=ratios,
    )


def draws_verdict(difference: float) -> str:
    """Refuted where the exact Fisher is had without draws, to rounding."""
    return "refuted" if difference < 1e-12 else "confirmed"


def without_draws(points: Sequence[Row], lines: Sequence[Row]) -> Claim:
    """The claim that exact computation requires sampling."""
    difference = max(point["enumeration"] for point in points)
    errors = {f"S = {samples}": average(lines, f"monte-carlo-{samples}", "matrix_error") for samples in (1, 10, 100)}
    return Claim(
        statement='"Exact computation [...] Requires sampling from model distribution"',
        published=SAID_NOTHING,
        as_published=f"by draws, matrix error: {listed(errors)}",
        as_it_should_be=f"by enumeration of ten labels against diag(p) - p p' in closed form: relative difference "
        f"{difference:.1e}, no draw",
        judged=Judgement(
            draws_verdict(difference),
            "sampling is what makes it inexact; the expectation over class labels is a finite sum, or the output Hessian.",
        ),
        figures={"enumeration against output Hessians": difference, **errors},
    )


Structure = tuple[str, str, str, tuple[str, ...]]
BLOCKS: Structure = (
    'Block-diagonal over layers: "F ≈ diag(F₁, F₂, ..., F_L)".',
    "fisher-layer-blocks",
    "what lies outside the blocks is a large part of the matrix, but the step hardly needs it",
    ("fisher-parameter-blocks",),
)
KFAC: Structure = (
    'K-FAC: "F_l ≈ A_l ⊗ G_l".',
    "kfac-joint",
    "the entries are far off, the direction is less so; reduce is meant for positions that are pooled, which those of these "
    "convolutions are not",
    ("kfac-separate", "kfac-reduce", "ekfac-joint", "kfac-empirical"),
)
DIAGONAL: Structure = (
    '"Adam-style adaptation: Diagonal approximation of natural gradient"',
    "fisher-diagonal",
    "most of the matrix lies off its diagonal, and the step misses it; Adam takes the root of the diagonal besides",
    ("adam", "quasi-diagonal"),
)
LOW_RANK: Structure = (
    '"Low-rank approximation: F ≈ UU^T + λI"',
    "low-rank-50",
    "the leading eigenvectors hold most of the norm; the step needs the small eigenvalues too, for which lambda stands",
    ("low-rank-10",),
)


def structure_verdict(errors: dict[str, float], gains: dict[str, float]) -> str:
    """Confirmed where matrix and step are near in the mean; where only one of them is, that is the condition."""
    matrix = bool(errors) and mean_of(errors) <= NEAR
    step = performance_verdict(gains)
    if step == "refuted" and not matrix:
        return "refuted"
    if step == "confirmed":
        return "confirmed" if matrix else f"{CONDITIONAL}the step is meant, not the matrix"
    return f"{CONDITIONAL}the matrix is meant, not the step"


def structure(which: Structure, lines: Sequence[Row]) -> Claim:
    """The claim that a structure approximates the Fisher."""
    statement, name, reason, relatives = which
    errors, gains = by_place(lines, name, "shape_error"), by_place(lines, name, GAIN)
    others = {other: by_place(lines, other, GAIN) for other in relatives}
    others = {other: found for other, found in others.items() if found}
    plain = by_place(lines, "gradient", GAIN)
    ahead = {place: gain - plain[place] for place, gain in gains.items()}
    damped = [value for column in DAMPED for value in by_place(lines, name, column).values()]
    figures = {f"shape error, {place}": value for place, value in errors.items()}
    figures |= {"first order, least over dampings": min(damped), "first order, most over dampings": max(damped)}
    figures |= {f"gain, {place}": value for place, value in gains.items()}
    figures |= {f"gain of {other}, {place}": value for other, found in others.items() for place, value in found.items()}
    return Claim(
        statement=statement,
        published=SAID_NOTHING,
        as_published=f"relative error of the matrix after the best scalar: {listed(errors)}",
        as_it_should_be=(
            f"decrease of the loss at KL 1e-4 relative to the exact Fisher's step: {listed(gains)}; others: "
            + "; ".join(f"{other} {min(found.values()):.2f} to {max(found.values()):.2f}" for other, found in others.items())
        ),
        judged=Judgement(
            structure_verdict(errors, gains),
            f"{reason}. In the mean the error is {mean_of(errors):.2f} and the decrease {mean_of(gains):.2f}, over the plain "
            f"gradient {mean_of(ahead):+.2f}. Near means an error of at most {NEAR:g}, a good step {GOOD:g} of the exact one's "
            "decrease. Damping by 0.001 to 1 of the mean eigenvalue, in first order: "
            f"{min(damped):.2f} to {max(damped):.2f}.",
        ),
        figures=figures,
    )


def prediction_verdict(correlations: Sequence[float], count: int) -> str:
    """Confirmed where every rank correlation is high, refuted where their mean is within the deviation of unrelated ranks.

    Args:
        correlations: by network and point.
        count: of approximations; the correlation of unrelated ranks has the deviation 1 / sqrt(count - 1).
    """
    if min(correlations) >= PREDICTS:
        return "confirmed"
    if sum(correlations) / len(correlations) < 1 / math.sqrt(count - 1):
        return "refuted"
    return f"{CONDITIONAL}the tendency over all approximations is meant, not the order of any two"


def prediction(found: Sequence[Row]) -> Claim:
    """The claim that the quality of an approximation is the nearness of its matrix."""
    shown = {
        measure: {f"{row['architecture']}, {row['point']}": row[measure] for row in found}
        for measure in ("matrix_error", "shape_error", "step_error", "cos_fisher")
    }
    return Claim(
        statement='"Approximation Quality: Empirical vs true Fisher performance": a nearer matrix makes a better step.',
        published=SAID_NOTHING,
        as_published=f"rank correlation of the matrix error with the decrease at KL 1e-4: {listed(shown['matrix_error'])}",
        as_it_should_be=(
            f"after the best scalar: {listed(shown['shape_error'])}; of the step's error: {listed(shown['step_error'])}; of "
            f"the angle of the steps in the Fisher metric: {listed(shown['cos_fisher'])}"
        ),
        judged=Judgement(
            prediction_verdict(list(shown["shape_error"].values()), min(row["approximations"] for row in found)),
            f"over {found[0]['approximations']} approximations, signed so that one means nearer is better. The Frobenius norm "
            "weighs the large eigenvalues, the step the small ones.",
        ),
        figures={f"{measure}, {place}": value for measure, values in shown.items() for place, value in values.items()},
    )


def mean_of(values: dict[str, float]) -> float:
    """The mean over networks and points."""
    return sum(values.values()) / len(values) if values else math.nan


def by_place(lines: Sequence[Row], name: str, measure: str) -> dict[str, float]:
    """A measure of one approximation at each network and point, as far as there is one."""
    own = [line for line in select(lines, approximation=name) if line[measure] is not None]
    return {f"{line['architecture']}, {line['point']}": line[measure] for line in own}


def average(lines: Sequence[Row], name: str, measure: str, point: str | None = None) -> float:
    """The mean of a measure over the networks, at one point or all; NaN where there is none."""
    own = [line[measure] for line in select(lines, approximation=name) if point is None or line["point"] == point]
    found = mean(own)
    return float("nan") if found is None else found


def listed(values: dict[str, float], style: str = ".2f") -> str:
    """Values with their names, as text."""
    return ", ".join(f"{value:{style}} ({name})" for name, value in values.items())
