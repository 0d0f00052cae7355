"""The published linear regression: one log-normal input, a slope and an intercept, unit noise."""

import math

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.seeding import generator

SAMPLES = 1000
SPREAD = 0.75  # of the logarithm of the inputs
TRUTH = (2.0, 2.0)  # slope, intercept: the order of nn.Linear
PRIOR_VARIANCE = 0.1
PUBLISHED_SEED = 42
STARTS = ((4.5, 2.0), (0.0, 1.0), (3.0, 4.5), (3.0, -0.5))

Data = tuple[Tensor, Tensor]


def published_data(seed: int = PUBLISHED_SEED) -> Data:
    """The published draws: those of ``torch.manual_seed(42)``, in float32 and then converted.

    The published program makes an ``nn.Linear(1, 1)`` between inputs and noise, whose two initial values are drawn as well.

    Args:
        seed: of the generator.

    Returns:
        Inputs and targets, ``(1000, 1)`` in float64.

    Example:
        >>> inputs, targets = published_data()
        >>> round(float(inputs.max()), 4)
        9.6677
    """
    draws = torch.Generator().manual_seed(seed)
    logarithms = torch.normal(torch.zeros(SAMPLES, 1), torch.full((SAMPLES, 1), SPREAD), generator=draws)
    for shape in ((1, 1), (1,)):  # the initial weight and bias
        torch.empty(shape).uniform_(generator=draws)
    noise = torch.normal(torch.zeros(SAMPLES), torch.ones(SAMPLES), generator=draws)[:, None]
    inputs = logarithms.exp()
    return inputs.double(), (TRUTH[0] * inputs + TRUTH[1] + noise).double()


def drawn_data(seed: int, samples: int = SAMPLES, noise: float = 1.0) -> Data:
    r"""Other draws: :math:`x = e^{0.75 z}`, :math:`y = 2 x + 2 + \sigma e` with standard normal z and e.

    Args:
        seed: names the draws; nothing global is touched.
        samples: N.
        noise: sigma, the standard deviation.

    Returns:
        Inputs and targets, ``(N, 1)`` in float64.
    """
    draws = generator("log-normal regression", seed, samples)
    normal = torch.randn(2, samples, 1, generator=draws, dtype=torch.float64)
    inputs = (SPREAD * normal[0]).exp()
    return inputs, TRUTH[0] * inputs + TRUTH[1] + noise * normal[1]


def regression_problem(data: Data, parameters: Tensor) -> Problem:
    """The problem of this package: ``nn.Linear(1, 1)`` with ``MSELoss`` at the parameters (slope, intercept).

    ``MSELoss`` is twice the negative log-likelihood at unit noise, so that its GGN and Hessian are twice, its empirical Fisher
    four times those of :class:`~fishergauge.reports.gauss_newton.regression_moments.RegressionMoments`.
    """
    inputs, targets = data
    model = nn.Linear(1, 1, device="meta")  # draws no initial values
    model.weight = nn.Parameter(parameters[:1].reshape(1, 1).clone())
    model.bias = nn.Parameter(parameters[1:].reshape(1).clone())
    return Problem(model, nn.MSELoss(), [(inputs, targets)], "log-normal regression")


def input_moment(power: int) -> float:
    r"""The moment :math:`E x^k = e^{k^2 s^2 / 2}` of the log-normal inputs."""
    return math.exp(power**2 * SPREAD**2 / 2)
