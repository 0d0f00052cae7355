"""The claims of experiment E2, judged by rules."""

import numpy as np
import pandas as pd
from scipy import stats

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.e2_tables import Runs
from fishergauge.reports.ledger import CONDITIONAL, PAPER, LedgerEntry

PUBLISHED_RATIO = 1.0033659300589879
TABLE_RATIO = 1.0061285652942742  # the mean of the published table of runs, which the summary does not meet
DRAWN = "; with the published run's own random draws"
PUBLISHED_ACCURACY = {"sgd": 0.06826666841904322, "natgrad": 0.06773333599170049}
MISPLACED = 0.05  # difference of accuracies beyond which a test set measures something else
NOTEBOOK = f"{PAPER}, experiment E2"


def judge_gate_b(published: pd.DataFrame, epochs: int) -> Judgement:
    """Does every step pass Gate B, and is the mean ratio within 1 % of one?"""
    fraction, mean = float(published["gate_b_fraction"].mean()), float(published["mean_kl_ratio"].mean())
    worst = published.to_dict("records")[int(published["gate_b_fraction"].to_numpy().argmin())]
    verdict = "confirmed" if fraction == 1 and abs(mean - 1) <= 0.01 else "refuted"
    condition = published.groupby(["method", "epsilon"])["gate_b_fraction"].min()
    passing = [
        epsilon for epsilon in sorted(published["epsilon"].unique()) if (condition.xs(epsilon, level="epsilon") == 1).all()
    ]
    if verdict == "refuted" and passing and fraction < 1 and passing == sorted(published["epsilon"].unique())[: len(passing)]:
        verdict = f"{CONDITIONAL}epsilon <= {passing[-1]:g}"
    reason = (
        f"{fraction:.2%} of the steps pass, least {worst['gate_b_fraction']:.0%} of {epochs} ({worst['method']}, "
        f"epsilon {worst['epsilon']:g}, "
        f"seed {worst['seed']:.0f}); mean ratio {mean:.4f}. Rule: all steps, and the mean within 1 % of one."
    )
    return Judgement(verdict, reason)


def judge_test_set(test_set: pd.DataFrame) -> Judgement:
    """Does the published test accuracy measure what was learned?"""
    if not len(test_set):
        return Judgement("not testable as published", "The published test set belongs to the synthetic data alone.")
    m = test_set.mean(numeric_only=True)
    verdict = "refuted" if abs(m["fair"] - m["published"]) > MISPLACED else "confirmed"
    reason = (
        f"The generator draws the class centres from its seed, and the test set has another one: centres of the same "
        f"label have a mean cosine "
        f"of {m['matched_cosine']:+.2f} (largest between any two {m['largest_cosine']:.2f}). The same models score "
        f"{m['fair']:.3f} on test data "
        f"from the centres of the training set, {m['published']:.3f} on the published test set, and "
        f"{m['best_matching']:.3f} there after the best "
        f"permutation of the labels; the rule of the nearest centre scores {m['training_centres']:.3f} there with the "
        f"training centres and "
        f"{m['other_centres']:.3f} with the test set's own. Rule: accuracies on both within {MISPLACED:g}."
    )
    return Judgement(verdict, reason)


def judge_budgets(table: pd.DataFrame, ratios: pd.DataFrame) -> Judgement:
    """Is the loss of the natural gradient lower at equal budgets, by a paired t-test at every budget?"""
    critical = np.array([stats.t.ppf(0.975, n - 1) if n > 1 else np.inf for n in table["seeds"]])
    wins = np.asarray(table["t"] > critical)
    points = [f"({row.epsilon:g}, {row.steps:.0f})" for row in table[wins].itertuples()]
    if wins.all():
        verdict = "confirmed"
    elif not wins.any():
        verdict = "refuted" if table["t"].notna().any() else "not testable as published"
    else:
        verdict = f"{CONDITIONAL}(epsilon, steps) is one of {', '.join(points)}"
    rows = table.assign(relative=table["gain_mean"] / table["loss_sgd"]).sort_values("relative").to_dict("records")
    least, best = (
        f"{row['relative']:.2%} (epsilon {row['epsilon']:g}, {row['steps']:.0f} steps: {row['gain_mean']:.2g} "
        f"+- {row['gain_std']:.1g}, t = {row['t']:.1f})"
        for row in (rows[0], rows[-1])
    )
    ratio, spread = ratios["ratio"].mean(), ratios["ratio"].std()
    reason = (
        f"Equal numbers of steps of exactly equal KL. The loss of the natural gradient is lower by {best} at best and "
        f"by {least} at "
        f"worst, +- s.d. over the seeds; half of the reduction takes it {ratio:.3f} +- {spread:.3f} of the KL that SGD needs. "
        "Rule: paired t-test over the seeds, one-sided at 2.5 %, at every budget."
    )
    return Judgement(verdict, reason)


def judge_e2(data: str, runs: Runs) -> list[LedgerEntry]:
    """All claims of E2 on one data set.

    Args:
        data: its name.
        runs: the results.

    Returns:
        Three entries, E2.1 to E2.3.
    """
    claims = (_gate_b(runs), _accuracy(runs), _budgets(runs))
    return [claim.entry("e2", i, data, NOTEBOOK) for i, claim in enumerate(claims, 1)]


def _gate_b(runs: Runs) -> Claim:
    fraction, mean = runs.published["gate_b_fraction"].mean(), runs.published["mean_kl_ratio"].mean()
    drawn = "" if runs.drawn is None else f"{DRAWN} {runs.drawn['mean_kl_ratio'].mean():.9f}"
    return Claim(
        "With at most two corrections Gate B, KL within 20 % of epsilon, passes in every epoch.",
        f"100 % of the checked epochs, mean ratio {PUBLISHED_RATIO:.4f} (the mean of the published table is {TABLE_RATIO:.9f})",
        f"{fraction:.2%}, mean ratio {mean:.4f}{drawn}",
        f"every step has the KL asked for to {runs.kl_error:.0e} relative",
        judge_gate_b(runs.published, runs.config["n_epochs"]),
        {"fraction": fraction, "mean_ratio": mean, "kl_error": runs.kl_error},
    )


def _accuracy(runs: Runs) -> Claim:
    by_method = runs.published.groupby("method")[["final_accuracy", "final_accuracy_fair"]].mean()
    published, fair = (dict(by_method[name]) for name in by_method)
    drawn = ""
    if runs.drawn is not None:
        means = dict(runs.drawn.groupby("method")["final_accuracy"].mean())
        drawn = f"{DRAWN} {means['sgd']:.6f} and {means['natgrad']:.6f}"
    paper = PUBLISHED_ACCURACY
    return Claim(
        "The final accuracy on the published test set is what the training achieves.",
        f"{paper['sgd']:.4f} (SGD) and {paper['natgrad']:.4f} (natural gradient), below chance",
        f"{published['sgd']:.4f} and {published['natgrad']:.4f}{drawn}",
        f"test data from the classes of the training data: {fair['sgd']:.4f} and {fair['natgrad']:.4f}",
        judge_test_set(runs.test_set),
        {} if not len(runs.test_set) else dict(runs.test_set.drop(columns="seed").mean()),
    )


def _budgets(runs: Runs) -> Claim:
    table, ratios = runs.comparison(), runs.budget_ratios()
    losses = runs.published.pivot_table(index="epsilon", columns="method", values="final_loss").reset_index()
    finals = ", ".join(f"{row.epsilon:g}: {row.sgd:.4f} and {row.natgrad:.4f}" for row in losses.itertuples())
    budgets = "; ".join(
        f"epsilon {row.epsilon:g}, budget {row.budget:g}: loss {row.loss_sgd:.4f} and {row.loss_natgrad:.4f}, "
        f"accuracy {row.accuracy_sgd:.3f} and {row.accuracy_natgrad:.3f}"
        for row in table.groupby("epsilon").last().reset_index().itertuples()
    )
    return Claim(
        "At equal budgets of KL the natural gradient learns better than SGD.",
        "no advantage: accuracies 0.0683 and 0.0677, mean final losses within 1.2 % of each other",
        f"final training losses of SGD and of the natural gradient at {finals}",
        budgets,
        judge_budgets(table, ratios),
        {
            "kl_ratio_mean": ratios["ratio"].mean(),
            "kl_ratio_std": ratios["ratio"].std(),
            "least_t": table["t"].min(),
            "largest_t": table["t"].max(),
            "largest_gain": table["gain_mean"].max(),
            "least_gain": table["gain_mean"].min(),
        },
    )
