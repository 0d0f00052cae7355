"""Logistic regression: local convergence of the natural gradient, gradient descent and the empirical Fisher, as predicted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, empirical_fisher, fisher, gradient, natural_gradient_step
from fishergauge.reports.course.convergence_iterations import gradient_descent_rate
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.reports.data import load
from fishergauge.suites.power_law import power_law_exponent
from fishergauge.suites.seeding import generator

STARTS, DESCENT_STEPS, EMPIRICAL_STEPS = 10, 400, 60


class LogisticRegression(NamedTuple):
    """Logistic regression in closed form, for many steps at many points at once.

    Args:
        inputs: with a column of ones, ``(N, P)``.
        labels: zeros and ones, ``(N,)``.
    """

    inputs: Tensor
    labels: Tensor

    def gradients(self, vectors: Tensor) -> Tensor:
        """The gradients of the mean loss at several points, ``(B, P)``."""
        residuals: Tensor = (vectors @ self.inputs.T).sigmoid() - self.labels
        return residuals @ self.inputs / len(self.labels)

    def third_derivative(self, vector: Tensor, direction: Tensor) -> Tensor:
        """The third derivative of the mean loss applied twice to a direction, ``(P,)``."""
        p = (self.inputs @ vector).sigmoid()
        weights = p * (1 - p) * (1 - 2 * p) * (self.inputs @ direction).square()
        return self.inputs.T @ weights / len(self.labels)


def logistic_regression(features: int, device: str = "cpu") -> Problem:
    """Breast-cancer, benign or malignant, by its first features; at zero."""
    data = load("breast-cancer", device)
    model = unset_linear(features, 1).to(device)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    targets = data.targets.double()[:, None]
    return Problem(model, nn.BCEWithLogitsLoss(), [(data.inputs[:, :features], targets)], name=f"logistic-{features}")


def closed_form(problem: Problem) -> LogisticRegression:
    """The same in closed form."""
    ones = problem.inputs.new_ones(problem.num_samples, 1)
    return LogisticRegression(torch.cat([problem.inputs, ones], 1), problem.targets[:, 0])


def optimum(problem: Problem, longest: int = 30) -> tuple[Problem, list[Tensor]]:
    """The problem at its optimum, and the points on the way there by natural-gradient steps of length one from its own."""
    points = [problem.vector]
    for _ in range(longest):
        here = problem.at(points[-1])
        step = natural_gradient_step(fisher(here).dense(), gradient(here))
        points.append(points[-1] + step)
        if float(step.norm()) <= 1e-13 * float(points[-1].norm()):
            break
    return problem.at(points[-1]), points


def logistic_rows(features: Sequence[int], seed: int, device: str) -> list[dict[str, Any]]:
    """One row for each number of features."""
    return [_row(count, seed, device) for count in features]


def _row(features: int, seed: int, device: str) -> dict[str, Any]:
    best, path = optimum(logistic_regression(features, device))
    closed, matrix = closed_form(best), fisher(best).dense()
    values, vectors = torch.linalg.eigh(matrix)
    kappa = float(values[-1] / values[0])
    before, after, constants = _natural_steps(best, closed, matrix, seed)
    errors = torch.stack([(point - best.vector).norm() for point in path])
    empirical = empirical_fisher(best).dense()
    rate, worst = dominant(empirical, matrix)
    return {
        "study": "logistic",
        "features": features,
        "kappa": kappa,
        "natural_steps_from_zero": int((errors > 1e-8 * errors[0]).sum()),
        "natural_errors_from_zero": (errors / errors[0]).tolist(),
        "natural_exponent": power_law_exponent(before, after),
        "natural_constant_deviation": constants,
        "natural_half_rate": _half_rate(best, seed),
        "gradient_predicted_rate": gradient_descent_rate(kappa),
        "gradient_measured_rate": _descent_rate(closed, best.vector, values, vectors),
        "empirical_distance": float((empirical - matrix).norm() / matrix.norm()),
        "empirical_predicted_rate": abs(rate),
        **_empirical_measured(best, worst),
    }


def _directions(best: Problem, seed: int, count: int) -> Tensor:
    source = generator("convergence", "logistic", seed, best.num_parameters)
    draws = torch.randn(count, best.num_parameters, generator=source, dtype=torch.float64).to(best.device)
    unit: Tensor = draws / draws.norm(dim=1, keepdim=True)
    return unit


def _natural_steps(best: Problem, closed: LogisticRegression, matrix: Tensor, seed: int) -> tuple[Tensor, Tensor, float]:
    r"""Errors before and after a step of length one, and how far the latter are from :math:`H^{-1} \nabla^3 L[e, e] / 2`."""
    lengths = torch.logspace(-4, -2, STARTS, dtype=torch.float64, device=best.device)
    before, after, worst = [], [], 0.0
    direction = _directions(best, seed, 1)[0]
    for length in lengths:
        here = best.at(best.vector + length * direction)
        left = here.vector + natural_gradient_step(fisher(here).dense(), gradient(here)) - best.vector
        predicted = torch.linalg.solve(matrix, closed.third_derivative(best.vector, length * direction)) / 2
        if float(length) <= 1e-3:  # the next order is of relative size |e|
            worst = max(worst, float((left - predicted).norm() / predicted.norm()))
        before.append(length)
        after.append(left.norm())
    return torch.stack(before), torch.stack(after), worst


def _half_rate(best: Problem, seed: int) -> float:
    """The contraction of one step of length one half, 1e-5 from the optimum."""
    here = best.at(best.vector + 1e-5 * _directions(best, seed, 1)[0])
    moved = here.vector + natural_gradient_step(fisher(here).dense(), gradient(here), 0.5)
    return float((moved - best.vector).norm()) / 1e-5


def _descent_rate(closed: LogisticRegression, best: Tensor, values: Tensor, vectors: Tensor) -> float:
    """The contraction of gradient descent of length 2 / (L + mu) on the nonlinear loss, close to the optimum."""
    length = 2 / (values[-1] + values[0])
    start = 1e-5 * (vectors[:, 0] + vectors[:, -1])
    vector = (best + start)[None]
    rest = closed.gradients(best[None])  # what rounding leaves of the gradient at the optimum
    for _ in range(DESCENT_STEPS):
        vector = vector - length * (closed.gradients(vector) - rest)
    contraction = float((vector[0] - best).norm() / start.norm())
    return float(contraction ** (1 / DESCENT_STEPS))


def dominant(preconditioner: Tensor, matrix: Tensor) -> tuple[float, Tensor]:
    r"""The eigenvalue of :math:`I - B^{-1} H` largest in modulus, and its unit eigenvector, for positive definite B and H."""
    lower = torch.linalg.cholesky(preconditioner)
    half = torch.linalg.solve_triangular(lower, matrix, upper=False)
    similar = torch.linalg.solve_triangular(lower, half.T, upper=False)
    values, vectors = torch.linalg.eigh((similar + similar.T) / 2)
    first = int((1 - values).abs().argmax())
    vector = torch.linalg.solve_triangular(lower.T, vectors[:, first : first + 1], upper=True)[:, 0]
    return float(1 - values[first]), vector / vector.norm()


def _empirical_measured(best: Problem, vector: Tensor) -> dict[str, float]:
    """What one step with the empirical Fisher makes of a small error along a vector, and where many lead from further away."""

    def moved(problem: Problem) -> Tensor:
        return problem.vector + natural_gradient_step(empirical_fisher(problem).dense(), gradient(problem))

    size = 1e-6
    rate = float((moved(best.at(best.vector + size * vector)) - best.vector).norm()) / size
    point = best.vector + 1e-3 * vector
    for _ in range(EMPIRICAL_STEPS):
        point = moved(best.at(point))
    away = float((point - best.vector).norm() / best.vector.norm())
    return {"empirical_measured_rate": rate, "empirical_final_error": away}
