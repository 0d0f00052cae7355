"""The claims of experiment E1, judged by rules."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.e1_tables import EPSILONS, Tables
from fishergauge.reports.ledger import CONDITIONAL, PAPER, LedgerEntry

PUBLISHED_ADVANTAGES = (1.9823511441191926, 1.9605967793917929, 2.0338473974202786)  # mean, min, max in percent
CONSISTENT = 0.10  # range of the advantage over its mean
MATCHED = 0.01  # relative: a mismatch of 1 % moves the loss reduction by 0.5 %, a quarter of the advantage claimed
ASYMPTOTIC = 1e-9  # divergences up to here serve to fit the approach to the limit
NOTEBOOK = f"{PAPER}, experiment E1"
QUOTED = "+1.98 % on average, between +1.96 % and +2.03 %"


def up_to(epsilons: Sequence[float], holds: Sequence[bool]) -> str:
    """The verdict on a claim that holds at the divergences where ``holds``: everywhere, up to one of them, or not.

    Args:
        epsilons: ascending.
        holds: whether the claim holds there.

    Returns:
        Confirmed; confirmed only if epsilon <= the last one before the first failure; or refuted.

    Example:
        >>> up_to((1e-3, 1e-2, 1e-1), (True, True, False))
        'confirmed only if epsilon <= 0.01'
    """
    good = 0
    while good < len(holds) and holds[good]:
        good += 1
    if good == len(holds):
        return "confirmed"
    return f"{CONDITIONAL}epsilon <= {epsilons[good - 1]:g}" if good else "refuted"


def judge_better(table: pd.DataFrame) -> Judgement:
    """Is the advantage at equal divergence positive, by more than two standard errors over the seeds, at every divergence?"""
    error = table["std"].fillna(np.inf) / np.sqrt(table["count"])
    verdict = up_to(list(table.index), list(table["mean"] > 2 * error))
    first, worst = 0, int(table["mean"].to_numpy().argmin())
    at = [f"{table['mean'].iloc[k]:+.2f} % (s.d. {table['std'].iloc[k]:.2f}) at {table.index[k]:g}" for k in (first, worst)]
    reason = (
        f"At equal true KL the mean advantage over the seeds is {at[0]}; the least is {at[1]}. "
        "Rule: more than two standard errors above zero."
    )
    return Judgement(verdict, reason)


def judge_consistent(epsilons: Sequence[float], advantages: NDArray[np.float64]) -> Judgement:
    """Does the advantage keep its sign, and its range within a tenth of its mean, from the least divergence up to each?"""
    holds = []
    for last in range(1, len(advantages) + 1):
        part = advantages[:last]
        spread = np.ptp(part) / abs(part.mean())
        holds.append(bool((part > 0).all() and spread <= CONSISTENT))
    verdict = up_to(epsilons, holds)
    if 0 < sum(holds) < len(holds) and epsilons[holds.index(False) - 1] < 10 * epsilons[0]:
        verdict = "refuted"
    reason = (
        f"At equal true KL the advantage runs from {advantages[0]:+.2f} % at {epsilons[0]:g} to {advantages[-1]:+.2f} % "
        f"at {epsilons[-1]:g}: "
        f"its range is {np.ptp(advantages) / abs(advantages.mean()):.0%} of its mean, with {_sign_changes(advantages)} "
        f"change(s) of sign. "
        f"Rule: range within {CONSISTENT:.0%} of the mean and no change of sign, over a decade at least."
    )
    return Judgement(verdict, reason)


def judge_matched(ratios: pd.DataFrame) -> Judgement:
    """Are the true divergences within 1 % of each other and of the one asked for?"""
    between = (ratios["natgrad"] / ratios["sgd"] - 1).abs()
    distance = (ratios - 1).abs().max(axis=1)
    verdict = up_to(list(ratios.index), list((between <= MATCHED) & (distance <= MATCHED)))
    reason = (
        f"The step length comes from the quadratic model. At {ratios.index[-1]:g} the true KL is "
        f"{ratios['sgd'].iloc[-1]:.3f} (SGD) and "
        f"{ratios['natgrad'].iloc[-1]:.3f} (natural gradient) times the one asked for, at {ratios.index[0]:g} "
        f"{ratios['sgd'].iloc[0]:.4f} "
        f"and {ratios['natgrad'].iloc[0]:.4f}. Rule: within {MATCHED:.0%}."
    )
    return Judgement(verdict, reason)


def judge_reported(raw: pd.DataFrame, classes: int) -> Judgement:
    """Is the reported divergence the divergence of the step, within 1 %?"""
    error = float((raw["kl_step"] / raw["true_kl"] - 1).abs().max())
    verdict = "confirmed" if error <= MATCHED else "refuted"
    repaired = float(((raw["kl_step_repaired"] - (classes - 1) * 1e-10) / raw["true_kl"] - 1).abs().median())
    reason = (
        f"The column lies between {raw['kl_step'].min():.6g} and {raw['kl_step'].max():.6g} while the true KL of the "
        f"steps runs from "
        f"{raw['true_kl'].min():.2g} to {raw['true_kl'].max():.2g}. The parameters are already those after the step "
        f"when logits_before is "
        f"evaluated, so both distributions are the same and what remains are the formula's two guards of 1e-10: "
        f"-sum p log(p/(p + 1e-10) + 1e-10) = (C - 1) 1e-10 = {(classes - 1) * 1e-10:.3g}. With the logits from before "
        f"the step the "
        f"formula yields the true KL plus that constant, to {repaired:.1g} relative (median of the steps)."
    )
    return Judgement(verdict, reason)


def judge_limit(corrected: pd.DataFrame, limits: pd.DataFrame) -> tuple[Judgement, dict[str, float]]:
    """Does the advantage approach its limit like the square root of the divergence, with the derived coefficient?"""
    small = corrected[corrected["epsilon"] <= ASYMPTOTIC].merge(limits, on="seed")
    deviation = small["advantage"] - small["limit"]
    predicted = small["slope"] * np.sqrt(2 * small["epsilon"])
    table = pd.DataFrame({"seed": small["seed"], "x": np.log(small["epsilon"]), "y": np.log(deviation.abs() + 1e-300)})
    exponents = [float(np.polyfit(part["x"], part["y"], 1)[0]) for _, part in table.groupby("seed")]
    error = float(((deviation - predicted).abs() / predicted.abs())[small["epsilon"] >= ASYMPTOTIC / 10].median())
    figures = {
        "exponent_median": float(np.median(exponents)),
        "coefficient_error_median": error,
        "largest_deviation_at_smallest": float(deviation[small["epsilon"] == small["epsilon"].min()].abs().max()),
        "limit_pct": float(limits["limit"].mean()) * 100,
    }
    good = abs(figures["exponent_median"] - 0.5) <= 0.05 and error <= 0.05
    reason = (
        f"For divergences from {small['epsilon'].min():g} to {ASYMPTOTIC:g} the distance to the limit falls like the "
        f"divergence to the power "
        f"{figures['exponent_median']:.4f} (median of the seeds; theory: 1/2), and its coefficient agrees with the "
        f"third-order expansion to "
        f"{error:.1g}. Rule: exponent within 0.05, coefficient within 5 %."
    )
    return Judgement("confirmed" if good else "refuted", reason), figures


def judge_e1(data: str, tables: Tables) -> list[LedgerEntry]:
    """All claims of E1 on one data set.

    Args:
        data: its name.
        tables: the results.

    Returns:
        Five entries, E1.1 to E1.5.
    """
    claims = (_better(tables), _consistent(tables), _matched(tables), _reported(tables), _limit(tables))
    return [claim.entry("e1", i, data, NOTEBOOK) for i, claim in enumerate(claims, 1)]


def _fair(tables: Tables) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """The advantages at equal true KL at the paper's divergences: over the seeds, and of the means."""
    corrected = tables.corrected_by_epsilon().loc[EPSILONS[0] :]
    return corrected, np.asarray(corrected["of_means"], dtype=np.float64)


def _measured(tables: Tables) -> str:
    paper = tables.advantages(tables.raw)
    return f"mean {paper.mean():+.2f} % (min {paper.min():+.2f}, max {paper.max():+.2f})" + _drawn(tables)


def _better(tables: Tables) -> Claim:
    corrected, fair = _fair(tables)
    figures = {
        "mean_as_published": tables.advantages(tables.raw).mean(),
        "mean_corrected": fair.mean(),
        "least_seed_mean": corrected["mean"].min(),
    }
    return Claim(
        "At equal per-step KL the natural gradient reduces the loss more than SGD.",
        QUOTED,
        _measured(tables),
        f"mean {fair.mean():+.2f} %, from {fair[0]:+.2f} % at {EPSILONS[0]:g} to {fair[-1]:+.2f} % at {EPSILONS[-1]:g}",
        judge_better(corrected),
        figures | _drawn_figures(tables),
    )


def _consistent(tables: Tables) -> Claim:
    paper, (_, fair) = tables.advantages(tables.raw), _fair(tables)
    spreads = {
        name: np.ptp(values) / abs(values.mean())
        for name, values in (("spread_as_published", paper), ("spread_corrected", fair))
    }
    return Claim(
        "The advantage is consistent across four orders of magnitude of the KL.",
        QUOTED,
        f"range over mean {spreads['spread_as_published']:.1%}",
        f"range over mean {spreads['spread_corrected']:.1%}",
        judge_consistent(EPSILONS, fair),
        spreads,
    )


def _matched(tables: Tables) -> Claim:
    ratios, last = tables.true_kl(tables.raw), EPSILONS[-1]
    error = float(tables.corrected[["kl_error_sgd", "kl_error_natgrad"]].abs().max().max())
    return Claim(
        "The steps of both methods have matched per-step KL, epsilon.",
        "kl_step equal for both methods",
        f"true KL over epsilon at {last:g}: SGD {ratios['sgd'].iloc[-1]:.4f}, "
        f"natural gradient {ratios['natgrad'].iloc[-1]:.4f}",
        f"lengths by root finding: largest error {error:.1e}",
        judge_matched(ratios),
        {
            "largest_mismatch": (ratios["natgrad"] / ratios["sgd"] - 1).abs().max(),
            "largest_distance": (ratios - 1).abs().max().max(),
            "largest_error_corrected": error,
        },
    )


def _reported(tables: Tables) -> Claim:
    raw, classes = tables.raw, tables.config["n_classes"]
    column = raw["kl_step"]
    return Claim(
        "The column kl_step is the KL divergence of the step.",
        "9.0e-10 at every epsilon",
        f"{column.mean():.4e} at every epsilon",
        f"{raw['true_kl'].min():.2e} to {raw['true_kl'].max():.2e}",
        judge_reported(raw, classes),
        {"reported_mean": column.mean(), "reported_range": np.ptp(column), "constant": (classes - 1) * 1e-10},
    )


def _limit(tables: Tables) -> Claim:
    judged, figures = judge_limit(tables.corrected, tables.limits)
    return Claim(
        "As the KL falls the advantage tends to sqrt((g'F^+g)(g'Fg))/(g'g) - 1.",
        "not stated",
        _measured(tables),
        f"limit {figures['limit_pct']:+.4f} % (mean of the seeds); at most "
        f"{figures['largest_deviation_at_smallest']:.1e} away at {tables.corrected['epsilon'].min():g}",
        judged,
        figures,
    )


def _drawn(tables: Tables) -> str:
    if tables.drawn is None:
        return ""
    values = tables.advantages(tables.drawn)
    return (
        f"; with the published run's own random draws {values.mean():+.6f} % "
        f"({values.mean() / PUBLISHED_ADVANTAGES[0] - 1:+.0e} relative to the published {PUBLISHED_ADVANTAGES[0]:.6f} %)"
    )


def _drawn_figures(tables: Tables) -> dict[str, float]:
    return {} if tables.drawn is None else {"mean_with_published_draws": float(tables.advantages(tables.drawn).mean())}


def _sign_changes(values: NDArray[np.float64]) -> int:
    return int((np.diff(np.sign(values)) != 0).sum())
