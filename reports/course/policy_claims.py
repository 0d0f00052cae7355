"""The statements of the course on policy gradients and trust regions, and the rules that judge them."""

import math
from collections.abc import Sequence
from statistics import mean, median
from typing import Any

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.course.policy_tables import GOALS, best_runs, best_sizes, run_rows
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, COURSE, LedgerEntry

Row = dict[str, Any]
NO_FIGURE = "no figure"
NO_PROTOCOL = "the course gives no protocol"
WORKING_DELTA = 0.01
FAR = 2.0
"""A divergence so many times the prescribed one: the quadratic model no longer holds."""
LIMIT = 0.01
"""The ratio KL/delta at the smallest delta may differ from one by so much; it is O(sqrt(delta))."""
SAME, APART = 1e-6, 1e-2
"""Relative distances of two numerical solutions that are the same, and that are not."""

SINGULAR = CONDITIONAL + "F^-1 is a pseudo-inverse, since the Fisher of a softmax policy is singular"
DAMPED = CONDITIONAL + "F^-1 is damped: the Fisher of a softmax policy is singular, and close to it beyond its kernel"
SEARCHED = CONDITIONAL + "delta is small enough, or a line search on the true divergence follows"
ACTIVE = CONDITIONAL + "the full step F^-1 g does not fit into the region, and delta_5^2 = 2 delta_7"


def policy_entries(results: Results) -> list[LedgerEntry]:
    """The ledger entries of the results there are."""
    rows = [row for _, record in results for row in record["rows"]]
    study = {name: [row for row in rows if row["study"] == name] for name in ("learning", "steps", "rank", "regions")}
    trpo = [row for row in study["learning"] if row["method"] == "trpo" and row.get("kl") is not None]
    found: list[tuple[int, str, Claim]] = []
    if study["rank"] and study["steps"]:
        found.append((1, "sec. 7, natural policy gradient", inverse_claim(study["rank"], study["steps"])))
    if study["steps"] and trpo:
        found.append((2, "sec. 7, TRPO", quadratic_claim(study["steps"], trpo)))
    if trpo:
        found.append((3, "sec. 7, TRPO", constraint_claim(trpo)))
    if study["regions"]:
        found.append((4, "sec. 5, trust region, and sec. 7, TRPO", regions_claim(study["regions"])))
    if len({row["method"] for row in study["learning"]}) == 3:
        found.append((5, "Implementation 7 and 8; Experiments, 6", learning_claim(study["learning"])))
    return [claim.entry("policy", number, "CartPole-v1", f"{COURSE}, {section}") for number, section, claim in found]


def inverse_verdict(ranks: Sequence[Row], ratio: float, damped: float) -> str:
    """By the rank of the Fisher, and by the divergence over the prescribed one of a step along its pseudo-inverse.

    Args:
        ranks: rank and number of parameters of each batch.
        ratio: with the pseudo-inverse.
        damped: the same with damping; where it is far from one as well, there is no such remedy.
    """
    if not 1 / FAR <= ratio <= FAR:
        return DAMPED if 1 / FAR <= damped <= FAR else "refuted"
    return SINGULAR if any(row["rank"] < row["parameters"] for row in ranks) else "confirmed"


def inverse_claim(ranks: Sequence[Row], steps: Sequence[Row]) -> Claim:
    """theta + alpha F^-1 grad J."""
    exact, damped, truncated = (_ratio(steps, name, WORKING_DELTA) for name in ("pseudo-inverse", "damped", "truncated"))
    figures = {
        "parameters": float(ranks[0]["parameters"]),
        "rank": max(row["rank"] for row in ranks),
        "kl_over_delta_pseudo_inverse": exact,
        "kl_over_delta_damped": damped,
        "kl_over_delta_truncated": truncated,
        "common_shift": max(row["common_shift"] for row in ranks),
    }
    reason = (
        "Adding the same to all logits changes no policy, so that F has a kernel of one dimension for each input of the last "
        "layer and its bias, and no inverse. The pseudo-inverse divides what is left of the noisy gradient by eigenvalues that "
        "are all but zero; its step leaves the region in which the quadratic model holds."
    )
    return Claim(
        "The natural policy gradient is theta + alpha F^-1 grad J, with F the Fisher matrix of the policy.",
        f"{NO_FIGURE}; F^-1 as written",
        f"rank of F {figures['rank']:.0f} of {figures['parameters']:.0f}; with the pseudo-inverse, cut off at P eps, a step of "
        f"quadratic divergence {WORKING_DELTA:g} has {exact:.2g} times that divergence (median of {len(ranks)} batches)",
        f"with damping 1e-3, ten products: {damped:.2f} times; with ten products alone: {truncated:.2f} times",
        Judgement(inverse_verdict(ranks, exact, damped), reason),
        figures,
    )


def quadratic_verdict(limit: float, exceeding: float) -> str:
    """By the ratio KL/delta at the smallest delta, and by the share of quadratic steps beyond delta at the working one."""
    if abs(limit - 1) > LIMIT:
        return "refuted"
    return SEARCHED if exceeding > 0 else "confirmed"


def quadratic_claim(steps: Sequence[Row], trpo: Sequence[Row]) -> Claim:
    """d'Fd / 2 <= delta stands for the divergence."""
    deltas = sorted({row["delta"] for row in steps})
    limit, missing, damped = (_ratio(steps, name, deltas[0]) for name in ("truncated", "factor 2 missing", "damped"))
    first = [row["unsearched_kl"] / row["size"] for row in trpo]
    exceeding = sum(ratio > 1 for ratio in first) / len(first)
    figures = {
        "kl_over_delta_smallest": limit,
        "kl_over_delta_0.01": _ratio(steps, "truncated", WORKING_DELTA),
        "kl_over_delta_largest": _ratio(steps, "truncated", deltas[-1]),
        "damped_in_both_places_smallest": damped,
        "factor_2_missing_smallest": missing,
        "share_beyond_delta": exceeding,
        "largest_kl_over_delta": max(first),
    }
    return Claim(
        "The constraint (1/2) d'Fd <= delta bounds the divergence of the new policy from the old one by delta.",
        f'{NO_FIGURE}; "natural gradients with trust region constraints", of a divergence the course says nothing',
        f"delta = {trpo[0]['size']:g}: {exceeding:.0%} of {len(first)} steps of quadratic divergence delta exceed it, by up to "
        f"{max(first):.2f} times",
        f"KL/delta is {figures['kl_over_delta_largest']:.2f} at {deltas[-1]:g}, {figures['kl_over_delta_0.01']:.2f} at 0.01 "
        f"and {limit:.5f} at {deltas[0]:g}; a damped F in direction and length spends {damped:.2f} delta; without the factor "
        f"1/2 it is {missing:.2f}",
        Judgement(
            quadratic_verdict(limit, exceeding),
            "d'Fd / 2 is the divergence to second order, with an error of order delta^1.5 of either sign. At the usual delta "
            "the quadratic step alone often breaks the constraint that it is named after.",
        ),
        figures,
    )


def constraint_verdict(rows: Sequence[Row]) -> str:
    """Confirmed if every update keeps the divergence, and most are made: steps of length zero keep it as well."""
    kept = all(row["kl"] <= row["size"] for row in rows)
    made = 2 * sum(bool(row["accepted"]) for row in rows) > len(rows)
    return "confirmed" if kept and made else "refuted"


def constraint_claim(trpo: Sequence[Row]) -> Claim:
    """Natural gradients with trust-region constraints."""
    ratios = [row["kl"] / row["size"] for row in trpo]
    figures = {
        "updates": float(len(trpo)),
        "accepted": float(sum(row["accepted"] for row in trpo)),
        "largest_kl_over_delta": max(ratios),
        "median_kl_over_delta": median(ratios),
        "mean_trials": mean(row["trials"] for row in trpo),
    }
    beyond = sum(row["unsearched_kl"] > row["size"] for row in trpo)
    return Claim(
        "TRPO uses natural gradients with trust-region constraints.",
        NO_FIGURE,
        f"the problem as the course states it, without a line search: {beyond} of {len(trpo)} updates leave the region",
        f"with the line search on divergence and surrogate: none beyond {max(ratios):.3f} delta, median {median(ratios):.2f} "
        f"delta, {figures['accepted']:.0f} of {len(trpo)} accepted, {figures['mean_trials']:.2f} lengths tried on average",
        Judgement(
            constraint_verdict(trpo),
            "The constraint holds because the line search, which the course leaves out, measures the divergence itself. "
            "Halving the step about quarters the divergence, so that a shortened update spends little of delta.",
        ),
        figures,
    )


def regions_verdict(rows: Sequence[Row]) -> str:
    """By the distance of the two solutions where the full step leaves the region of section 5, and where it fits in."""
    if any(max(row["numerical_5"], row["numerical_7"]) > SAME for row in rows):
        return "not testable as published"  # the solver did not find what it is compared with
    active = [row["apart"] for row in rows if row["ratio"] < 1]
    fitting = [row["apart"] for row in rows if row["ratio"] > 1]
    if active and max(active) > SAME:
        return "refuted"
    return ACTIVE if fitting and max(fitting) > APART else "confirmed"


def regions_claim(rows: Sequence[Row]) -> Claim:
    """Section 5 against section 7."""
    active = [row for row in rows if row["ratio"] < 1]
    widest = max(rows, key=lambda row: float(row["ratio"]))
    figures = {
        "largest_distance_active": max(row["apart"] for row in active),
        "distance_widest": widest["apart"],
        "ratio_widest": widest["ratio"],
        "spent_5_widest": widest["spent_5"],
        "spent_7_widest": widest["spent_7"],
        "solver": max(max(row["numerical_5"], row["numerical_7"]) for row in rows),
    }
    return Claim(
        "The trust region of sec. 5, min g'd + (1/2) d'Fd s.t. d'Fd <= delta^2, is that of sec. 7, max g'd s.t. "
        "(1/2) d'Fd <= delta.",
        f"{NO_FIGURE}; both are called natural gradients with a trust region",
        f"with the same number for delta, sec. 7 goes sqrt(2 / delta) times as far: {math.sqrt(2 / WORKING_DELTA):.0f} at 0.01",
        f"radii matched, delta_5^2 = 2 delta_7: {figures['largest_distance_active']:.0e} apart while the full step is longer "
        f"than the radius; at a radius of {widest['ratio']:g} times its length sec. 5 spends {widest['spent_5']:.2f} of the "
        f"radius, sec. 7 {widest['spent_7']:.2f} (SLSQP, {figures['solver']:.0e} from the closed forms)",
        Judgement(
            regions_verdict(rows),
            "On the boundary d'Fd / 2 is a constant and changes nothing; both directions are F^-1 g. Inside, sec. 5 stops at "
            "the minimum of its model, while a linear objective has none and always goes to the boundary.",
        ),
        figures,
    )


def learning_verdict(runs: dict[str, list[Row]]) -> str:
    """Confirmed if both natural methods have the higher return over learning with every seed, refuted if neither on average."""
    by_seed = {method: {run["seed"]: run["mean_return"] for run in own} for method, own in runs.items()}
    plain = by_seed["gradient"]
    every, better = {}, {}
    for method in ("natural", "trpo"):
        own = {seed: value for seed, value in by_seed[method].items() if seed in plain}
        every[method] = all(value > plain[seed] for seed, value in own.items())
        better[method] = bool(own) and mean(own.values()) > mean(plain[seed] for seed in own)
    if not set.intersection(*(set(found) for found in by_seed.values())):
        return "not testable as published"  # no seed that all methods have
    if all(every.values()):
        return "confirmed"
    if not any(better.values()):
        return "refuted"
    averages = f"{CONDITIONAL}one averages over the seeds, for {' and '.join(name for name, yes in better.items() if yes)}"
    return averages + "".join(f"; for {name} in every seed" for name, yes in every.items() if yes)


def learning_claim(rows: Sequence[Row]) -> Claim:
    """Natural against standard gradients for a policy."""
    runs = run_rows(rows)
    best, sizes = best_runs(runs), best_sizes(runs)
    figures: dict[str, float] = {}
    for method, own in best.items():
        figures[f"{method}_size"] = sizes[method]
        figures[f"{method}_mean_return"] = mean(run["mean_return"] for run in own)
        figures[f"{method}_final_return"] = mean(run["final_return"] for run in own)
        for goal in GOALS:
            reached = [run[f"steps_to_{goal}"] for run in own]
            figures[f"{method}_steps_to_{goal}"] = mean(reached)
    seeds, tried = len(best["gradient"]), {m: len({run["size"] for run in runs if run["method"] == m}) for m in best}
    budget = max(row["steps"] for row in rows)
    curves = "; ".join(
        f"{method} ({sizes[method]:g}, best of {tried[method]}): return {figures[f'{method}_mean_return']:.0f} over learning, "
        f"{figures[f'{method}_final_return']:.0f} at the end, 195 {_steps(figures[f'{method}_steps_to_195'])}, "
        f"475 {_steps(figures[f'{method}_steps_to_475'])}"
        for method in best
    )
    return Claim(
        "Natural gradients for policy optimisation do better than the standard method.",
        f"{NO_FIGURE}; named as implementation and comparison",
        NO_PROTOCOL,
        f"{budget} environment steps each, {seeds} seeds: {curves}",
        Judgement(
            learning_verdict(best),
            f"Judged by the return of fresh episodes, averaged over learning, at the best size of each method, in every one of "
            f"{seeds} seeds. TRPO runs at the published delta. The same sign in {seeds} seeds has probability {0.5**seeds:.3g} "
            "by chance. An update of the natural methods costs a Fisher more, or a dozen products with it.",
        ),
        figures,
    )


def _ratio(steps: Sequence[Row], variant: str, delta: float) -> float:
    """The median of KL/delta over the batches."""
    return float(median(row["ratio"] for row in steps if row["variant"] == variant and math.isclose(row["delta"], delta)))


def _steps(value: float) -> str:
    return "not with all seeds" if math.isnan(value) else f"after {value:.0f} steps"
