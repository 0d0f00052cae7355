"""What is no cell of a sweep, as it takes results and writes files, on several processes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")


def in_parallel(function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int) -> list[Result]:
    """The results of a function for several tuples of arguments, in their order, on ``jobs`` processes."""
    if jobs == 1 or len(tasks) < 2:
        return [function(*task) for task in tasks]
    import joblib

    results: list[Result] = joblib.Parallel(n_jobs=min(jobs, len(tasks)))(joblib.delayed(function)(*task) for task in tasks)
    return results
