"""What BackPACK does not support is refused by name; much of it would be wrong without an error."""

import pytest
from torch import nn

from fishergauge.reference import UnsupportedError, ggn
from fishergauge.suites.backpack_cases import CE, problem_of, seq
from fishergauge.suites.backpack_quantities import EXTENSIONS, QUANTITIES, ROUTES, assert_agrees
from fishergauge.suites.backpack_refused import REFUSED
from fishergauge.suites.closeness import assert_apart

SILENTLY_WRONG = [(name, quantity) for name, entry in REFUSED.items() for quantity in entry.wrong]


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsupported_problem_is_refused(name: str) -> None:
    problem = REFUSED[name].problem()
    for quantity in REFUSED[name].quantities:
        with pytest.raises(UnsupportedError, match=REFUSED[name].words) as caught:
            QUANTITIES[quantity].measured(problem)
        assert f"BackPACK's {QUANTITIES[quantity].extension} " in str(caught.value)


@pytest.mark.parametrize(("name", "quantity"), SILENTLY_WRONG)
def test_backpack_would_be_wrong(name: str, quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal of a number that BackPACK would give is needed; if this fails, BackPACK has been mended."""
    problem, entry = REFUSED[name].problem(), QUANTITIES[quantity]
    monkeypatch.setattr("fishergauge.reference.backpack_run.require_support", lambda *_: None)
    expected = entry.part(problem, ROUTES["the reference"][entry.matrix])
    assert_apart(entry.measured(problem), expected, f"BackPACK's {quantity} of {name}", least=0.01)


def test_dropout_in_training_is_refused() -> None:
    problem = problem_of(seq(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.0), nn.Linear(4, 2)), (3,), CE())
    expected = ggn(problem).dense()
    assert_agrees(problem, QUANTITIES["ggn"].measured(problem), expected, "GGN in evaluation mode")
    problem.model.train()
    for quantity in EXTENSIONS:
        with pytest.raises(UnsupportedError, match="Dropout\\) with training mode"):
            QUANTITIES[quantity].measured(problem)
