"""Training with Newton's and with natural-gradient steps: the same on convex problems, and where both lead on networks."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, fisher, gradient, natural_gradient_step, newton_step, objective
from fishergauge.reports.course.expected_hessian import observed_hessian
from fishergauge.reports.course.newton_measurements import LENGTHS
from fishergauge.reports.course.newton_problems import CONVEX, DATA, newton_problem, small_network
from fishergauge.suites.closeness import rounding_bound

TOLERANCE = 1e-9
CUTOFF = 1e-10  # of both inverses: the common shift of the logits lies in the kernel
LONGEST = 30
DAMPING = 1e-3  # of the natural gradient on the network, in units of the mean eigenvalue


def convex_rows(device: str = "cpu", longest: int = 25) -> list[dict[str, Any]]:
    """Both methods from zero with steps of length one: iterations, and the largest distance of their iterates.

    The paths are Newton's method by a Hessian of double backward, and natural gradients by an enumerated Fisher.
    """
    rows = []
    for name in CONVEX:
        start = newton_problem(name, 0, device)
        start = start.at(torch.zeros_like(start.vector))
        newton = _path(start, lambda p, g: newton_step(observed_hessian(p), g, CUTOFF), longest)
        natural = _path(start, lambda p, g: natural_gradient_step(fisher(p).dense(), g, cutoff=CUTOFF), longest)
        best = newton[-1]
        pairs = zip(newton, natural, strict=False)
        deviation = max(float((a.vector - b.vector).norm() / best.vector.norm()) for a, b in pairs)
        values = torch.linalg.eigvalsh(fisher(best).dense())
        condition = float(values[-1] / values[values > CUTOFF * values[-1]][0])
        rows.append(
            {
                "study": "convex",
                "data": DATA[name],
                "newton_iterations": len(newton) - 1,
                "natural_iterations": len(natural) - 1,
                "converged": float(gradient(best).norm()) <= TOLERANCE,
                "deviation": deviation,
                "condition": condition,
                "bound": rounding_bound(best.dtype, best.num_parameters, condition),
            }
        )
    return rows


def _path(problem: Problem, step: Callable[[Problem, Tensor], Tensor], longest: int) -> list[Problem]:
    """Problems along steps of length one, until the gradient is small."""
    path, slope = [problem], gradient(problem)
    while len(path) <= longest and float(slope.norm()) > TOLERANCE:
        path.append(path[-1].at(path[-1].vector + step(path[-1], slope)))
        slope = gradient(path[-1])
    return path


def network_rows(seeds: Sequence[int], device: str = "cpu") -> list[dict[str, Any]]:
    """Where the methods end from the same start: loss, gradient, and negative eigenvalues of the Hessian."""
    rows = []
    for seed in seeds:
        start = small_network(seed, device)
        for method, run in (("newton", newton_root), ("natural", natural_descent)):
            path = run(start)
            best = path[-1]
            values = torch.linalg.eigvalsh(observed_hessian(best))
            rows.append(
                {
                    "study": "network",
                    "seed": seed,
                    "method": method,
                    "iterations": len(path) - 1,
                    "start_loss": float(objective(start)),
                    "loss": float(objective(best)),
                    "gradient": float(gradient(best).norm()),
                    "negative": int((values < -1e-8 * values[-1]).sum()),
                    "smallest": float(values[0] / values[-1]),
                    "saturation": saturation(best),
                    "losses": [float(objective(p)) for p in path],
                }
            )
    return rows


def saturation(problem: Problem) -> float:
    """The median of the modulus of tanh over the samples, of the hidden unit where it is least."""
    first = next(iter(problem.model.children()))
    with torch.no_grad():
        hidden = first(problem.inputs).tanh().abs()
    return float(hidden.median(0).values.min())


def newton_root(problem: Problem) -> list[Problem]:
    """Newton's method for the equation grad L = 0; the length is halved until the gradient shrinks.

    Reference:
        Nocedal and Wright, "Numerical optimization" (2006), sec. 11.2.
    """
    path, slope = [problem], gradient(problem)
    while len(path) <= LONGEST and float(slope.norm()) > TOLERANCE:
        step = newton_step(observed_hessian(path[-1]), slope)
        for length in LENGTHS[1:]:
            moved = path[-1].at(path[-1].vector + length * step)
            found = gradient(moved)
            if float(found.norm()) < (1 - 1e-4 * length) * float(slope.norm()):
                break
        else:
            break
        path.append(moved)
        slope = found
    return path


def natural_descent(problem: Problem) -> list[Problem]:
    """Damped natural-gradient steps; the length is halved until the loss falls enough (Armijo)."""
    path, loss = [problem], float(objective(problem))
    while len(path) <= LONGEST:
        slope, matrix = gradient(path[-1]), fisher(path[-1]).dense()
        step = natural_gradient_step(matrix, slope, damping=DAMPING * float(matrix.trace()) / len(matrix))
        for length in LENGTHS[1:]:
            moved = path[-1].at(path[-1].vector + length * step)
            found = float(objective(moved))
            if found <= loss + 1e-4 * length * float(slope @ step):
                break
        else:
            break
        path.append(moved)
        loss = found
    return path
