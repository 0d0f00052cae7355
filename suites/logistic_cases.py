"""Logistic regression with two parameters: data, the exact log-density, and the problem."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from fishergauge.reference import Problem
from fishergauge.suites.grid_posterior import GridPosterior, grid_posterior
from fishergauge.suites.laplace_cases import maximum_a_posteriori
from fishergauge.suites.seeding import generator


@dataclass(frozen=True, eq=False)
class LogisticCase:
    r"""Labels of :math:`p(y = 1 | x) = \sigma(x'\theta)`, each sample counted several times, with prior N(0, I / delta).

    Args:
        inputs: ``(n, 2)``.
        labels: 0 or 1, ``(n,)``.
        times: how often each sample counts; the data set has n times this many.
        prior: delta.
    """

    inputs: Tensor
    labels: Tensor
    times: int = 1
    prior: float = 1.5

    @property
    def count(self) -> int:
        """N."""
        return self.times * len(self.inputs)

    def log_density(self, points: Tensor) -> Tensor:
        """The logarithm of likelihood times prior, with all constants, at ``(G, 2)``: ``(G,)``."""
        logits = points @ self.inputs.T
        by_data = (logits * self.labels - softplus(logits)).sum(1) * self.times
        return by_data - self.prior / 2 * points.square().sum(1) + math.log(self.prior / (2 * math.pi))

    def grid(self) -> GridPosterior:
        """The exact posterior, from ten standard deviations of the prior inwards."""
        return grid_posterior(self.log_density, 10 / math.sqrt(self.prior))

    def problem(self) -> Problem:
        """The problem at its maximum a posteriori."""
        with torch.random.fork_rng(devices=[]):  # the layer initialises itself from the global generator
            model = nn.Linear(2, 1, bias=False, dtype=torch.float64)
        nn.init.zeros_(model.weight)
        inputs, labels = self.inputs.repeat(self.times, 1), self.labels.repeat(self.times)[:, None]
        start = Problem(model, nn.BCEWithLogitsLoss(), [(inputs, labels)], f"logistic, {self.count} samples")
        return maximum_a_posteriori(start, self.prior)


def logistic_case(samples: int, times: int = 1, seed: int = 0) -> LogisticCase:
    """Standard normal inputs and labels of theta = (1, -1/2); fewer samples are the first of more."""
    source = generator("logistic", seed)
    draws = torch.randn(640, 2, generator=source, dtype=torch.float64)
    uniform = torch.rand(640, generator=source, dtype=torch.float64)
    labels = (uniform < (draws @ torch.tensor([1.0, -0.5], dtype=torch.float64)).sigmoid()).double()
    return LogisticCase(draws[:samples], labels[:samples], times)
