"""How many numbers an approximation holds, against counting by hand."""

import pytest
import torch
from torch import nn

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reports.accuracy_approximations import approximations
from fishergauge.reports.accuracy_stored import stored_numbers

IN, HIDDEN, OUT = 3, 4, 2
P = HIDDEN * (IN + 1) + OUT * (HIDDEN + 1)


@pytest.fixture
def problem() -> Problem:
    source = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(IN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, OUT)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=torch.float64))
    inputs = torch.randn(7, IN, generator=source, dtype=torch.float64)
    return Problem(model, nn.CrossEntropyLoss(), [(inputs, torch.arange(7) % OUT)], "stored")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("exact-fisher", P**2),
        ("fisher-layer-blocks", (HIDDEN * (IN + 1)) ** 2 + (OUT * (HIDDEN + 1)) ** 2),
        ("fisher-parameter-blocks", (HIDDEN * IN) ** 2 + HIDDEN**2 + (OUT * HIDDEN) ** 2 + OUT**2),
        ("fisher-diagonal", P),
        ("scaled-identity", 1),
        ("quasi-diagonal", P + HIDDEN * IN + OUT * HIDDEN),
        ("kfac-joint", HIDDEN**2 + (IN + 1) ** 2 + OUT**2 + (HIDDEN + 1) ** 2),
        ("kfac-separate", HIDDEN**2 + IN**2 + OUT**2 + HIDDEN**2),
        ("ekfac-joint", HIDDEN**2 + (IN + 1) ** 2 + OUT**2 + (HIDDEN + 1) ** 2 + P),
        ("low-rank-4", 4 * (P + 1)),
        ("monte-carlo-1", P**2),
        ("shampoo", HIDDEN**2 + IN**2 + HIDDEN**2 + 1 + OUT**2 + HIDDEN**2 + OUT**2 + 1),
    ],
)
def test_the_numbers_of_each_form(problem: Problem, name: str, count: int) -> None:
    assert stored_numbers(approximations()[name].build(problem)) == count


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_what_takes_no_memory_is_not_counted() -> None:
    assert stored_numbers(torch.eye(5).to_sparse()) == 5
    assert stored_numbers(torch.eye(5).to_sparse_csr()) == 5
    assert stored_numbers(torch.ones(1, 1).expand(9, 9)) == 1


def test_an_object_whose_form_does_not_tell_has_no_number(problem: Problem) -> None:
    assert stored_numbers(object()) is None
    assert stored_numbers({"a": torch.ones(2), "b": object()}) is None
    assert stored_numbers(reference.fisher(problem)) is None
