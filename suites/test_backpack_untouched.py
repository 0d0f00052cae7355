"""BackPACK leaves nothing behind: not on the model, the loss and the data, nor in the process, nor in its own globals."""

import warnings
from collections.abc import Callable

import pytest
import torch
from backpack.context import CTX

from fishergauge.reference import Problem, UnsupportedError
from fishergauge.reference import backpack as route
from fishergauge.suites.backpack_cases import case
from fishergauge.suites.backpack_quantities import QUANTITIES
from fishergauge.suites.backpack_refused import REFUSED
from fishergauge.suites.seeding import generator
from fishergauge.suites.untouched import assert_untouched, state_of

CALLS: dict[str, Callable[[Problem], object]] = {
    **{name: entry.measured for name, entry in QUANTITIES.items()},
    "monte_carlo": lambda problem: route.backpack_monte_carlo_fisher(problem, 2, generator("untouched")),
    "monte_carlo_diagonal": lambda problem: route.backpack_monte_carlo_fisher_diagonal(problem, 2, generator("untouched")),
    "kfac": lambda problem: route.backpack_kfac(problem, 2, generator("untouched")),
}
FAILING = ["ggn", "ggn_diagonal", "hessian_diagonal", "kflr", "monte_carlo", "monte_carlo_diagonal", "kfac"]


def _globals() -> object:
    """What BackPACK keeps in the process, and the filters of warnings that it needs."""
    filters = [entry for entry in warnings.filters if "sympy" not in str(entry[2])]  # torch imports sympy on first use
    return CTX.get_active_exts(), len(CTX.hook_handles), filters


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("call", CALLS)
def test_a_computation_leaves_everything_as_it_was(call: str, dtype: torch.dtype) -> None:
    problem = case("avg-pool", dtype)
    before, outside = state_of(problem), _globals()
    CALLS[call](problem)
    assert_untouched(problem, before)
    assert _globals() == outside


@pytest.mark.parametrize("call", FAILING)
def test_a_failed_computation_leaves_everything_as_it_was(call: str) -> None:
    problem = REFUSED["ceil"].problem()
    before, outside = state_of(problem), _globals()
    with pytest.raises(UnsupportedError, match="requested an output size"):
        CALLS[call](problem)
    assert_untouched(problem, before)
    assert _globals() == outside
