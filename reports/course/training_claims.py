"""What is claimed of K-FAC as an optimiser, and the rules that judge it."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.course.training_runs import METHODS, MODELS
from fishergauge.reports.course.training_tables import CRITERIA, TUNED_BY, comparison
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, COURSE, LedgerEntry

SEEDS = 3  # fewer tell no difference of methods from one of seeds
SOURCE = f"{COURSE}; experiment 2, K-FAC Evaluation: natural gradients for deep networks; section 4"
NAMES = {"sgd": "SGD with momentum", "adam": "Adam", "kfac": "K-FAC"}
Row = dict[str, Any]


def compared_of(results: Results) -> list[Row]:
    """The comparison of tuned methods on every architecture for which there are times and runs."""
    compared: list[Row] = []
    for model in MODELS:
        seconds = {
            row["method"]: row["step_seconds"]
            for cell, record in results
            if cell.protocol == "timed"
            for row in record["rows"]
            if row["model"] == model
        }
        records = [record for cell, record in results if cell.protocol != "timed" and dict(cell.settings)["model"] == model]
        runs = [row for record in records for row in record["rows"]]
        if runs and set(seconds) == set(METHODS):
            epochs = max(record["epochs"] for record in records)
            compared += [{"model": model, **row} for row in comparison(runs, seconds, epochs)]
    return compared


def training_entries(results: Results) -> list[LedgerEntry]:
    """The entries for which there are results: both criteria, and training against test loss."""
    compared = compared_of(results)
    numbers = {("equal epochs", "training_loss"): 1, ("equal time", "training_loss"): 2, ("equal epochs", "test_loss"): 3}
    found = {}
    for (criterion, score), number in numbers.items():
        rows = [row for row in compared if row["criterion"] == criterion and row["tuned_by"] == TUNED_BY[score]]
        if {row["method"] for row in rows} == set(METHODS):
            found[number] = better_training(rows, criterion, score)
    return [claim.entry("training", number, "digits", SOURCE) for number, claim in found.items()]


def winners(rows: Sequence[Row], score: str) -> dict[str, bool]:
    """By architecture, whether K-FAC's worst seed is below the best seed of both others; a run that diverged is infinite.

    With three seeds each, two equal methods are apart like that in one case of twenty.
    """
    return {
        model: all(
            max(_scores(rows, model, "kfac", score)) < min(_scores(rows, model, other, score)) for other in ("sgd", "adam")
        )
        for model in dict.fromkeys(row["model"] for row in rows)
    }


def training_verdict(won: dict[str, bool], seeds: int) -> str:
    """Confirmed if K-FAC is ahead on every architecture, conditional if on some; too few seeds decide nothing."""
    if seeds < SEEDS:
        return "not testable as published"
    if won and all(won.values()):
        return "confirmed"
    ahead = [model for model, wins in won.items() if wins]
    return f"{CONDITIONAL}the network is the {' or '.join(ahead)}" if ahead else "refuted"


def better_training(rows: Sequence[Row], criterion: str, score: str) -> Claim:
    """The claim that K-FAC is the better optimiser, under one criterion and by one score."""
    won, medians = winners(rows, score), {}
    for model in won:
        for method in METHODS:
            medians[model, method] = _median(rows, model, method, score)
    words = "; ".join(
        f"{model}: " + ", ".join(f"{NAMES[method]} {medians[model, method]:.2g}" for method in METHODS) for model in won
    )
    what = score.replace("_", " ")
    limit = {model: next(row["limit"] for row in rows if row["model"] == model) for model in won}
    unit = "epochs" if criterion == CRITERIA[0] else "s of steps"
    seeds = len({row["seed"] for row in rows})
    return Claim(
        f"K-FAC, natural gradients for deep networks: lower {what} than SGD with momentum and Adam at {criterion}.",
        "no figure; an experiment is named",
        "no protocol given",
        f"{what}, median over seeds ({seeds}) after {', '.join(f'{limit[m]:.3g} {unit} ({m})' for m in won)}: {words}",
        Judgement(
            training_verdict(won, seeds),
            f"each method tuned by {TUNED_BY[score].replace('_', ' ')} at that moment over a grid of the same size, on a seed "
            "that is not reported; ahead is a method whose worst seed beats the others' best. "
            + (_reason(criterion, score) if seeds >= SEEDS else f"It takes {SEEDS} seeds to tell methods apart.")
            + at_edges(rows),
        ),
        {f"{model}_{method}": medians[model, method] for model in won for method in METHODS},
    )


def at_edges(rows: Sequence[Row]) -> str:
    """Which methods were best at the edge of the grid, so that a wider one might serve them better; nothing if none was."""
    found = dict.fromkeys(f"{NAMES[row['method']]} ({row['model']})" for row in rows if row["edge"])
    return f" Best at the edge of the grid of rates: {', '.join(found)}." if found else ""


def _reason(criterion: str, score: str) -> str:
    if score == "test_loss":
        return "What is learned faster need not generalise better."
    if criterion == "equal time":
        return (
            "A step of K-FAC takes many times as long as one of the others on networks so small, see the table of step times."
        )
    return "A step is one batch for every method; what a step costs is another question."


def _median(rows: Sequence[Row], model: str, method: str, score: str) -> float:
    return median(_scores(rows, model, method, score))


def _scores(rows: Sequence[Row], model: str, method: str, score: str) -> list[float]:
    """The score of each seed; infinite for a run that diverged, and for a method without runs."""
    values = [
        float("inf") if row["diverged"] else float(row[score])
        for row in rows
        if (row["model"], row["method"]) == (model, method)
    ]
    return values or [float("inf")]
