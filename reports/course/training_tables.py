"""Choice of hyper-parameters and comparison of the methods, at equal epochs and at equal wall time."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from fishergauge.reports.course.training_runs import METHODS

TUNING_SEED = 0
CRITERIA = ("equal epochs", "equal time")
TUNED_BY = {"training_loss": "training_loss", "test_loss": "validation_loss"}
"""The score that is compared, and the one that hyper-parameters are chosen by: training by training, test by validation."""

Row = dict[str, Any]


def reached(rows: Sequence[Row], limit: float, of: str) -> Row | None:
    """The last evaluation of a run within a limit of ``"epoch"`` or ``"seconds"``; None if the run had failed by then."""
    inside = [row for row in rows if row[of] <= limit]
    return inside[-1] if inside and not inside[-1]["failed"] else None


def comparison(runs: Iterable[Row], step_seconds: dict[str, float], epochs: int) -> list[Row]:
    r"""The tuned methods of one architecture, seed by seed, under both criteria.

    At equal time every method may take as long as the slowest method's ``epochs`` epochs, and no longer than its run. Of the
    grid, the point is taken that is best for the tuning seed at that moment, by each score of :data:`TUNED_BY`; the other seeds
    are reported.

    Args:
        runs: rows of evaluations, with ``method``, ``seed``, ``rate``, ``second``, ``epoch``, ``step`` and the scores.
        step_seconds: wall time of a step by method.
        epochs: at which methods are compared.

    Returns:
        One row a criterion, score that it is tuned by, method and seed, the tuning seed left out.
    """
    grid: dict[tuple[str, float, float, int], list[Row]] = {}
    for row in runs:
        timed = {**row, "seconds": row["step"] * step_seconds[row["method"]]}
        grid.setdefault((row["method"], row["rate"], row["second"], row["seed"]), []).append(timed)
    present = [method for method in METHODS if any(key[0] == method for key in grid)]
    ends = {method: max(rows[-1]["seconds"] for key, rows in grid.items() if key[0] == method) for method in present}
    budget = min(ends.values(), default=0.0)
    compared = []
    for criterion, of, limit in (("equal epochs", "epoch", float(epochs)), ("equal time", "seconds", budget)):
        for score, method in itertools.product(TUNED_BY.values(), present):
            chosen = _best({key: rows for key, rows in grid.items() if key[0] == method}, limit, of, score)
            if chosen is None:
                continue
            rate, second = chosen
            rates = sorted({key[1] for key in grid if key[0] == method})
            for (name, *point, seed), rows in grid.items():
                if name == method and tuple(point) == (rate, second) and seed != TUNING_SEED:
                    last = reached(rows, limit, of)
                    scores = {} if last is None else {k: v for k, v in last.items() if k not in ("failed", "step")}
                    place = {"criterion": criterion, "tuned_by": score, "limit": limit}
                    run = {
                        "method": method,
                        "rate": rate,
                        "second": second,
                        "seed": seed,
                        "edge": rate in (rates[0], rates[-1]),
                    }
                    compared.append({**place, **scores, **run, "diverged": last is None})
    return compared


def _best(
    grid: dict[tuple[str, float, float, int], list[Row]], limit: float, of: str, score: str
) -> tuple[float, float] | None:
    """Rate and second hyper-parameter with the least score of the tuning seed."""
    losses = {}
    for (_, rate, second, seed), rows in grid.items():
        last = reached(rows, limit, of) if seed == TUNING_SEED else None
        if last is not None:
            losses[rate, second] = last[score]
    return min(losses, key=losses.__getitem__) if losses else None
