"""Training curves of several methods in any coordinates, step by step from matrices computed anew."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, fisher, gradient, kfac, natural_gradient_step, objective
from fishergauge.reports.course.newton_problems import principal_components
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.reports.data import load
from fishergauge.suites.seeding import generator

METHODS = ("exact", "kfac", "diagonal", "sgd", "adam")
LENGTHS = {"exact": 0.2, "kfac": 0.2, "diagonal": 0.02, "sgd": 0.2, "adam": 0.05}
"""Of the steps of each method, so that all of them train in the original coordinates."""
SAMPLES, FEATURES, HIDDEN = 400, 4, 3
OUTPUTS, GAIN, DISTANCE = 3, 2.0, 0.4


@dataclass(frozen=True, eq=False)
class Curve:
    """A training curve.

    Args:
        losses: before every step and after the last one, ``(T + 1,)``.
        outputs: of the model, ``(T + 1, N C)``.
        points: the parameters, ``(T + 1, P)``.
        condition: the largest condition number of the Fisher on the way; one for methods without.
    """

    losses: Tensor
    outputs: Tensor
    points: Tensor
    condition: float

    @property
    def length(self) -> float:
        """The way of the outputs, in the largest norm: the sum over the steps of the largest change of an output."""
        return float((self.outputs[1:] - self.outputs[:-1]).abs().amax(1).sum())


def teacher_problem(seed: int, device: str = "cpu") -> Problem:
    """Digits by four principal components, three binary labels drawn from a teacher: a network of the student's architecture.

    The teacher's weights have orthogonal rows, and the student, P = 27, starts close by: there the Fisher has full rank and a
    moderate condition number, so that natural gradients need no damping, which would hide what is to be measured.
    """
    source = generator("parametrisation", seed)
    inputs = principal_components(load("digits", device).inputs, FEATURES)[:SAMPLES]
    model = nn.Sequential(unset_linear(FEATURES, HIDDEN), nn.Tanh(), unset_linear(HIDDEN, OUTPUTS))

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    with torch.no_grad():
        for parameter in model.parameters():
            rows = parameter.ndim == 2
            parameter.copy_(
                GAIN * torch.linalg.qr(normal(*parameter.shape[::-1])).Q.T if rows else 0.3 * normal(*parameter.shape)
            )
        probabilities = model(inputs.cpu()).sigmoid()
        targets = (torch.rand(probabilities.shape, generator=source, dtype=torch.float64) < probabilities).double()
        for parameter in model.parameters():
            parameter.add_(DISTANCE * normal(*parameter.shape))
    return Problem(model.to(device), nn.BCEWithLogitsLoss(), [(inputs, targets.to(device))], name="teacher")


def training_curve(problem: Problem, method: str, length: float, steps: int, damping: float = 0.0) -> Curve:
    """Train from the parameters of a problem, in its coordinates.

    Args:
        problem: at the start.
        method: one of :data:`METHODS`; the curvature is computed anew at every step.
        length: of every step.
        steps: T.
        damping: lambda, of the exact Fisher.

    Returns:
        The curve; it ends in NaN where the method diverges.
    """
    losses, outputs, points, condition = [objective(problem)], [problem.outputs.flatten()], [problem.vector], 1.0
    first, second = torch.zeros_like(problem.vector), torch.zeros_like(problem.vector)
    for step in range(1, steps + 1):
        slope = gradient(problem)
        if not bool(slope.isfinite().all()):
            for path in (losses, outputs, points):
                path.append(path[-1] * float("nan"))
            continue
        if method == "exact":
            matrix = fisher(problem).dense()
            change = natural_gradient_step(matrix, slope, length, damping)
            condition = max(condition, float(torch.linalg.cond(matrix)))
        elif method == "kfac":
            approximation = kfac(problem)
            change = -length * approximation.solve_exactly(slope)
            for block in approximation.factors.values():
                both = torch.linalg.cond(block.input_factor) * torch.linalg.cond(block.output_factor)
                condition = max(condition, float(both))
        elif method == "diagonal":
            change = -length * slope / fisher(problem).diagonal()
        elif method == "adam":
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope.square()
            change = -length * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        else:
            change = -length * slope
        problem = problem.at(problem.vector + change)
        losses.append(objective(problem))
        outputs.append(problem.outputs.flatten())
        points.append(problem.vector)
    return Curve(torch.stack(losses), torch.stack(outputs), torch.stack(points), condition)


def deviation(curve: Curve, reference: Curve, stride: int = 1, reference_stride: int = 1) -> tuple[float, float]:
    """The largest difference of losses and of outputs, at common times.

    Args:
        curve: in other coordinates.
        reference: in the original ones.
        stride: every how many steps the curve is read.
        reference_stride: the same of the reference.

    Returns:
        Of the loss, and of the outputs relative to their range at the end of the reference; infinite where the curve diverges.
    """
    losses = (curve.losses[::stride] - reference.losses[::reference_stride]).abs()
    outputs = (curve.outputs[::stride] - reference.outputs[::reference_stride]).abs()
    scale = float(reference.outputs[-1].abs().max())
    if not bool(losses.isfinite().all() and outputs.isfinite().all()):
        return float("inf"), float("inf")
    return float(losses.max()), float(outputs.max()) / scale
