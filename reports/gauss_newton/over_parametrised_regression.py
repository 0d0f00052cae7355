"""A linear model with more parameters than data: bumps on an interval, a real kernel of the GGN."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.seeding import generator

FEATURES = 24
WIDTH = 0.35
NOISE_DEVIATION = 0.1
PRIOR_PRECISION = 1.0
GRID = torch.linspace(-3.2, 3.2, 161, dtype=torch.float64)


def bumps(inputs: Tensor) -> Tensor:
    r"""The features :math:`\phi_j(x) = \exp(-(x - c_j)^2 / 2 w^2)` with 24 centres on [-3, 3]: ``(N,) -> (N, 24)``."""
    centres = torch.linspace(-3.0, 3.0, FEATURES, dtype=inputs.dtype, device=inputs.device)
    return (-(inputs[:, None] - centres).square() / (2 * WIDTH**2)).exp()


def bump_regression(samples: int, seed: int) -> tuple[Problem, Tensor]:
    """Noisy samples of sin(2x), one in each of equal parts of [-2.5, 2.5], and the model with all weights zero.

    Args:
        samples: N, fewer than 24 for a kernel.
        seed: names the draws.

    Returns:
        The problem, whose inputs are the features ``(N, 24)``, and the inputs x ``(N,)``.
    """
    draws = generator("bump regression", samples, seed)
    places = torch.rand(samples, generator=draws, dtype=torch.float64)
    inputs = -2.5 + 5 * (torch.arange(samples, dtype=torch.float64) + 0.2 + 0.6 * places) / samples
    noise = NOISE_DEVIATION * torch.randn(samples, generator=draws, dtype=torch.float64)
    model = nn.Linear(FEATURES, 1, bias=False, device="meta")  # draws no initial values
    model.weight = nn.Parameter(torch.zeros(1, FEATURES, dtype=torch.float64))
    targets = ((2 * inputs).sin() + noise)[:, None]
    return Problem(model, nn.MSELoss(), [(bumps(inputs), targets)], "bump regression"), inputs
