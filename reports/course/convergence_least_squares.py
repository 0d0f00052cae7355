"""Least squares of a prescribed condition number: steps and rates of gradient descent, heavy ball and natural gradient."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, fisher, gradient, hessian, natural_gradient_step, solve_damped
from fishergauge.reports.course.convergence_iterations import (
    damped_rate,
    gradient_descent_rate,
    heavy_ball_matrix,
    heavy_ball_rate,
    heavy_ball_steps,
    predicted_steps,
    steps_to_tolerance,
)
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.suites.seeding import generator

SAMPLES, FEATURES, TOLERANCE = 60, 20, 1e-6
LENGTHS = (1.0, 0.5, 0.1)
DAMPINGS = (1e-2, 1e-4)


def least_squares(kappa: float, seed: int, device: str = "cpu") -> tuple[Problem, Tensor]:
    """A linear regression whose Hessian has eigenvalues from 1 / kappa to 1, spread evenly in the logarithm.

    Args:
        kappa: the condition number.
        seed: of singular vectors, start, solution and noise.
        device: of the problem.

    Returns:
        The problem at its start, and its solution ``(D,)``; every eigenvector has an equal share in their difference.
    """
    source = generator("convergence", "least squares", seed)
    draw = torch.randn(SAMPLES, FEATURES, generator=source, dtype=torch.float64)
    left = torch.linalg.qr(draw).Q
    right = torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=source, dtype=torch.float64)).Q
    values = torch.logspace(0, -float(torch.tensor(kappa).double().log10()), FEATURES, dtype=torch.float64)
    inputs = left @ torch.diag((values * SAMPLES / 2).sqrt()) @ right.T  # MSELoss: H = 2 X'X / N
    solution = torch.randn(FEATURES, generator=source, dtype=torch.float64)
    noise = torch.randn(SAMPLES, generator=source, dtype=torch.float64)
    targets = inputs @ solution + noise - left @ (left.T @ noise)  # noise outside the range leaves the solution
    model = unset_linear(FEATURES, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(solution + right.sum(1) / FEATURES**0.5)
    pairs = [(inputs.to(device), targets[:, None].to(device))]
    return Problem(model.to(device), nn.MSELoss(), pairs, name=f"least-squares-{kappa:g}"), solution.to(device)


def least_squares_rows(kappas: Sequence[float], seed: int, device: str) -> list[dict[str, Any]]:
    """Steps and rates of every method at every condition number, predicted and measured.

    Every eigenvector has the share 1 / sqrt(D) in the initial error; gradient descent contracts both ends of the spectrum at
    the same rate, the heavy ball that of the largest eigenvalue last, damping the smallest eigenvalue last.
    """
    rows: list[dict[str, Any]] = []
    for kappa in kappas:
        problem, solution = least_squares(kappa, seed, device)
        error, share = problem.vector - solution, FEATURES**-0.5
        matrix, information = hessian(problem).dense(), fisher(problem).dense()
        identity = torch.eye(FEATURES, dtype=error.dtype, device=error.device)

        def add(method: str, rate: float, steps: float, measured: tuple[int, float], kappa: float = kappa) -> None:
            names = ("study", "kappa", "method", "predicted_rate", "predicted_steps", "measured_steps", "measured_rate")
            rows.append(dict(zip(names, ("least squares", kappa, method, rate, steps, *measured), strict=True)))

        rate = gradient_descent_rate(kappa)
        descent = identity - 2 / (1 + 1 / kappa) * matrix
        steps = predicted_steps(rate, TOLERANCE, share * 2**0.5)
        add("gradient", rate, steps, steps_to_tolerance(descent, error, TOLERANCE, FEATURES))
        rate = heavy_ball_rate(kappa)
        ball = heavy_ball_matrix(matrix, 1.0, 1 / kappa)
        measured = steps_to_tolerance(ball, torch.cat([error, error]), TOLERANCE, FEATURES)
        add("heavy ball", rate, heavy_ball_steps(rate, TOLERANCE, share), measured)
        for length in LENGTHS:
            rate = abs(1 - length)
            add(f"natural {length:g}", rate, predicted_steps(rate, TOLERANCE), _natural(problem, solution, information, length))
        for damping in DAMPINGS:
            rate = damped_rate(1 / kappa, damping)
            damped = identity - solve_damped(information, matrix, damping)
            measured = steps_to_tolerance(damped, error, TOLERANCE, FEATURES)
            add(f"damped {damping:g}", rate, predicted_steps(rate, TOLERANCE, share), measured)
    return rows


def _natural(problem: Problem, solution: Tensor, information: Tensor, length: float, longest: int = 200) -> tuple[int, float]:
    """Steps of the reference, one after the other, and their contraction until the tolerance."""
    start, vector, steps = problem.vector, problem.vector, 0
    while steps < longest and float((vector - solution).norm()) > TOLERANCE * float((start - solution).norm()):
        vector = vector + natural_gradient_step(information, gradient(problem.at(vector)), length)
        steps += 1
    return steps, (float((vector - solution).norm() / (start - solution).norm())) ** (1 / max(1, steps))
