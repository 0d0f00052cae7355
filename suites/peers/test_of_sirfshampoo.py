"""sirfshampoo: the statistics as read from its momenta, and its first step."""

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem
from fishergauge.reference.shampoo import shampoo
from fishergauge.suites.peers import of_sirfshampoo
from fishergauge.suites.peers.shampoo_statistics import power_step

pytest.importorskip("sirfshampoo")


def test_statistics_are_those_of_shampoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the decay undone, which the optimiser's own ends; left alone, they are others."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    inputs, targets = (torch.randn(6, size, generator=generator, dtype=torch.float64) for size in (3, 2))
    problem = Problem(model, nn.MSELoss(), [(inputs, targets)])
    expected = shampoo(problem).dense()
    torch.testing.assert_close(of_sirfshampoo.statistics(problem), expected)
    undone = power_step
    monkeypatch.setattr(
        of_sirfshampoo, "power_step", lambda problem, make, read, decay, gain: undone(problem, make, read, gain=gain)
    )
    with pytest.raises(AssertionError):
        torch.testing.assert_close(of_sirfshampoo.statistics(problem), expected)


def test_first_update_is_that_of_the_paper() -> None:
    """m_C = (B G G' / d_in + lam I - I) / 2 and C = I - beta2 m_C / max(1, |m_C|); with the sum for the mean it is not."""
    from sirfshampoo import SIRFShampoo

    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 2, bias=False).double()
    gradient = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    model.weight.grad = gradient.clone()
    optimizer = SIRFShampoo(model, lr=0.1, beta2=0.05, alpha1=0.0, alpha2=0.0, lam=0.01, batch_size=4)
    optimizer.step()
    eye = torch.eye(2, dtype=torch.float64)
    momentum = (4 * gradient @ gradient.T / 3 + 0.01 * eye - eye) / 2
    torch.testing.assert_close(optimizer.preconditioner_momenta[0][0].to_dense(), momentum)
    made = optimizer.preconditioner[0][0].to_dense()
    torch.testing.assert_close(made, eye - 0.05 * momentum / momentum.norm().clamp(min=1))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(made, eye - 0.05 * 4 * momentum / momentum.norm().clamp(min=1))
