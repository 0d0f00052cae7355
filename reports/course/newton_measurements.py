"""What is measured at the checkpoints of a run: Fisher against Hessian, and the steps of both."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad

from fishergauge.reference import Problem, fisher, ggn, gradient, hessian, natural_gradient_step, newton_step, objective
from fishergauge.reports.course.expected_hessian import expected_hessian, observed_hessian
from fishergauge.reports.course.newton_problems import CONVEX
from fishergauge.suites.closeness import rounding_bound

DAMPING = 1e-3  # of both steps, in units of the mean eigenvalue of the Fisher; none for the convex models
LENGTHS = [2.0**-j for j in range(-1, 10)]


def adam_path(problem: Problem, checkpoints: Sequence[int], rate: float) -> list[Problem]:
    """The problem at checkpoints of a run of full-batch Adam."""

    def loss(vector: Tensor) -> Tensor:
        outputs = functional_call(problem.model, problem.unflatten(vector), (problem.inputs,))
        value: Tensor = problem.loss(outputs, problem.targets)
        return value

    slopes, vector, found = grad(loss), problem.vector, []
    first, second = torch.zeros_like(vector), torch.zeros_like(vector)
    for step in range(max(checkpoints) + 1):
        if step in checkpoints:
            found.append(problem.at(vector))
        slope = slopes(vector).detach()
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope.square()
        mean, square = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        vector = vector - rate * mean / (square.sqrt() + 1e-8)
    return found


def checkpoint_row(problem: Problem) -> dict[str, Any]:
    """Matrices and steps at one checkpoint."""
    slope, loss = gradient(problem), float(objective(problem))
    information, curvature, expected = fisher(problem).dense(), observed_hessian(problem), expected_hessian(problem)
    residual_part = hessian(problem).dense() - ggn(problem).dense()
    size = float(curvature.norm())
    values = torch.linalg.eigvalsh(curvature)
    convex = problem.name.startswith(CONVEX)
    damping = 0.0 if convex else DAMPING * float(information.trace()) / len(information)
    identity = torch.eye(len(slope), dtype=slope.dtype, device=slope.device)
    cutoff = 1e-10 if convex else None  # the common shift of the logits lies in the kernel
    natural = natural_gradient_step(information, slope, damping=damping, cutoff=cutoff)
    newton = newton_step(curvature + damping * identity, slope, cutoff)
    expected_gap = float((expected - information).norm()) / float(information.norm())
    return {
        "loss": loss,
        "accuracy": accuracy(problem),
        "gap": float((information - curvature).norm()) / size,
        "absolute_gap": float((information - curvature).norm()),
        "residual_part": float(residual_part.norm()) / size,
        "unexplained": float((curvature - information - residual_part).norm()) / size,
        "expected_gap": expected_gap,
        "bound": rounding_bound(slope.dtype, len(slope)),
        "negative": int((values < -1e-10 * values.abs().max()).sum()),
        "negative_share": float(-values.clamp(max=0).sum() / values.abs().sum()),
        "parameters": len(slope),
        "angle": angle(natural, newton),
        "newton_descends": bool(slope @ newton < 0),
        "decrease_natural_full": loss - _loss(problem, natural),
        "decrease_newton_full": loss - _loss(problem, newton),
        "decrease_natural": _searched(problem, natural, loss),
        "decrease_newton": _searched(problem, newton, loss),
    }


def accuracy(problem: Problem) -> float | None:
    """The share of training labels that are predicted; None for a regression."""
    outputs, targets = problem.outputs, problem.targets
    if not targets.is_floating_point():
        return float((outputs.argmax(1) == targets).double().mean())
    if bool(((targets == 0) | (targets == 1)).all()):
        return float(((outputs > 0) == (targets > 0.5)).double().mean())
    return None


def angle(a: Tensor, b: Tensor) -> float:
    """Between two vectors, in degrees; accurate for small ones."""
    a, b = a / a.norm(), b / b.norm()
    return math.degrees(2 * math.atan2(float((a - b).norm()), float((a + b).norm())))


def _loss(problem: Problem, step: Tensor) -> float:
    return float(objective(problem.at(problem.vector + step)))


def _searched(problem: Problem, step: Tensor, loss: float) -> float:
    """The largest decrease over the lengths 2, 1, 1/2, ... along a step; zero where none decreases."""
    return max(0.0, *(loss - _loss(problem, length * step) for length in LENGTHS))
