"""The critical values of quadratic forms: recomputed from the bound, and met by simulation on spectra of every kind."""

import math

import pytest
import torch
from torch import Tensor

from fishergauge.suites.probes.self_normalised import CRITICAL, UNCERTAIN, critical, log_tail
from fishergauge.suites.seeding import generator


@pytest.mark.parametrize(("vectors", "level"), CRITICAL, ids=str)
def test_critical_value_bounds_the_tail_at_its_level(vectors: int, level: float) -> None:
    assert log_tail(critical(vectors, level), vectors) <= math.log(level)


SPECTRA: dict[str, Tensor] = {
    "one": torch.tensor([1.0]),
    "one against many": torch.cat([torch.tensor([1.0]), -torch.full((200,), 1 / 200)]),
    "two of either sign": torch.tensor([1.0, -1.0]),
    "many": torch.ones(100),
    "decaying": 1 / torch.arange(1.0, 100.0),
}


def statistics(values: Tensor, vectors: int, repetitions: int) -> Tensor:
    """T for matrices with these eigenvalues."""
    source = generator("self-normalised", values.sum().item(), vectors)
    draws = torch.randn(repetitions, vectors, len(values), generator=source, dtype=torch.float64)
    squares, wide = draws.square().sum(1), values.double()
    return ((squares - vectors) @ wide) / (squares @ wide.square()).sqrt()


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("vectors", [8, 24])
def test_interval_covers_on_every_spectrum(name: str, vectors: int) -> None:
    found = statistics(SPECTRA[name], vectors, 2000)
    assert float((found.abs() > critical(vectors, UNCERTAIN)).double().mean()) <= UNCERTAIN


@pytest.mark.parametrize("vectors", [8, 24])
def test_bound_is_not_far_above_the_worst_spectrum(vectors: int) -> None:
    found = statistics(SPECTRA["one against many"], vectors, 4000)
    assert float((found.abs() > critical(vectors, UNCERTAIN) / 2).double().mean()) > UNCERTAIN / 5
