"""Training of a small regression network to its maximum a posteriori, hyper-parameters by the evidence."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.reference.ggn import ggn
from fishergauge.reference.gradient import gradient, objective
from fishergauge.suites.seeding import generator

HIDDEN = 16


@dataclass(frozen=True)
class Trained:
    """A network at its maximum a posteriori.

    Args:
        problem: at these parameters, with ``MSELoss`` over N targets.
        prior: precision of the prior.
        noise: variance of the observations.
        slope: norm of the gradient of the log posterior, over that at the prior's mean.
    """

    problem: Problem
    prior: float
    noise: float
    slope: float


def network_problem(inputs: Tensor, targets: Tensor, seed: int) -> Problem:
    """A tanh network with one hidden layer of 16 units on ``(N, 1)`` inputs, its parameters drawn."""
    draws = generator("evidence training", seed)
    layers = nn.Linear(1, HIDDEN, device="meta"), nn.Linear(HIDDEN, 1, device="meta")
    for layer, spread in zip(layers, (1.0, HIDDEN**-0.5), strict=True):
        for name in ("weight", "bias"):
            shape = getattr(layer, name).shape
            setattr(layer, name, nn.Parameter(spread * torch.randn(shape, generator=draws, dtype=inputs.dtype)))
    return Problem(nn.Sequential(layers[0], nn.Tanh(), layers[1]), nn.MSELoss(), [(inputs, targets)], "network")


def train(problem: Problem, prior: float, noise: float, iterations: int, adapt: bool) -> Trained:
    r"""Levenberg-Marquardt steps on the negative log posterior, with MacKay's updates of the hyper-parameters in between.

    .. math::
        \alpha = \gamma / |\theta|^2, \quad \sigma^2 = \sum r^2 / (N - \gamma), \quad
        \gamma = P - \alpha \operatorname{tr} \Sigma

    Args:
        problem: where it starts.
        prior: alpha, at first.
        noise: sigma^2, at first.
        iterations: number of steps.
        adapt: whether the hyper-parameters follow the evidence.

    Returns:
        The network and its hyper-parameters, which it has converged for if ``slope`` is small.

    Reference:
        MacKay, "Bayesian interpolation", Neural Computation 4 (1992), sec. 4.
    """
    theta, damping, size = problem.vector, 1.0, problem.num_parameters
    identity = torch.eye(size, dtype=theta.dtype)
    count = problem.num_samples
    first = float("nan")
    for step in range(iterations):
        here = problem.at(theta)
        factor = count / (2 * noise)
        curvature = factor * ggn(here).dense() + prior * identity
        slope = factor * gradient(here) + prior * theta
        first = float(slope.norm()) if step == 0 else first
        value = factor * float(objective(here)) + prior / 2 * float(theta.square().sum())
        while True:
            trial = theta - torch.linalg.solve(curvature + damping * identity, slope)
            after = factor * float(objective(problem.at(trial))) + prior / 2 * float(trial.square().sum())
            if after <= value or damping > 1e12:
                break
            damping *= 4
        theta, damping = (trial, damping / 3) if after <= value else (theta, damping)
        if adapt and step % 5 == 4 and step < iterations * 2 // 3:
            determined = size - prior * float(torch.linalg.inv(curvature).trace())
            prior = determined / float(theta.square().sum())
            noise = count * float(objective(problem.at(theta))) / (count - determined)
    found = problem.at(theta)
    slope = count / (2 * noise) * gradient(found) + prior * theta
    return Trained(found, prior, noise, float(slope.norm()) / first)
