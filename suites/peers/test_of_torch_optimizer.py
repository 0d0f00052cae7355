"""torch_optimizer: L as read is that of Shampoo, as far as its R lets one see it."""

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem
from fishergauge.reference.shampoo import shampoo
from fishergauge.suites.peers import of_torch_optimizer

pytest.importorskip("torch_optimizer")


def test_blocks_of_biases_are_those_of_shampoo() -> None:
    """A vector has no second axis, whose statistics are wrong; those of the weight are not to be had."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    inputs, targets = (torch.randn(6, size, generator=generator, dtype=torch.float64) for size in (3, 2))
    problem = Problem(model, nn.MSELoss(), [(inputs, targets)])
    mine, expected = of_torch_optimizer.shampoo(problem), shampoo(problem).dense()
    for part in (slice(12, 16), slice(24, 26)):
        torch.testing.assert_close(mine[part, part], expected[part, part])
    with pytest.raises(AssertionError):
        torch.testing.assert_close(mine[:12, :12] * problem.num_samples, expected[:12, :12])
