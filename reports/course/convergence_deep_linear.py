"""Deep linear networks: K-FAC has the exact blocks there, and what its step still makes of the whole function."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, fisher, gradient, kfac, natural_gradient_step, solve_psd
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.suites.power_law import power_law_exponent
from fishergauge.suites.seeding import generator

WIDTH, SAMPLES, STEPS = 4, 40, 8
START = 1e-2  # size of the change of every weight from the solution


def deep_linear(depth: int, kappa: float, seed: int, device: str = "cpu") -> tuple[Problem, Tensor]:
    """A chain of square linear layers close to a solution of a least-squares problem.

    Args:
        depth: the number of layers.
        kappa: the condition number of the second moments of the inputs.
        seed: of the weights, the data and the start.
        device: of the problem.

    Returns:
        The problem at its start, and the solution: the product of the weights, ``(4, 4)``.
    """
    source = generator("convergence", "deep linear", depth, seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    spread = torch.logspace(0, -float(torch.tensor(kappa).double().log10()) / 2, WIDTH, dtype=torch.float64)
    inputs = torch.linalg.qr(normal(SAMPLES, WIDTH)).Q * SAMPLES**0.5 * spread @ torch.linalg.qr(normal(WIDTH, WIDTH)).Q
    weights = [torch.linalg.qr(normal(WIDTH, WIDTH)).Q for _ in range(depth)]
    model = nn.Sequential(*[unset_linear(WIDTH, WIDTH, bias=False) for _ in range(depth)])
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(weight + START * normal(WIDTH, WIDTH))
    solution = _product(weights)
    targets = inputs @ solution.T
    pairs = [(inputs.to(device), targets.to(device))]
    return Problem(model.to(device), nn.MSELoss(), pairs, name=f"deep-linear-{depth}"), solution.to(device)


def _product(weights: Sequence[Tensor]) -> Tensor:
    product = weights[0]
    for weight in weights[1:]:
        product = weight @ product
    return product


def function_error(problem: Problem, solution: Tensor) -> float:
    """The distance of the product of the weights from the solution."""
    return float((_product([weight.detach() for weight in problem.parameters.values()]) - solution).norm())


def deep_linear_rows(depths: Sequence[int], kappas: Sequence[float], seed: int, device: str) -> list[dict[str, Any]]:
    """Contraction of the function's error by the first step, and the exponent of the steps after it."""
    rows = []
    for depth in depths:
        for kappa in kappas:
            problem, solution = deep_linear(depth, kappa, seed, device)
            block = fisher(problem).block_diagonal()
            difference = float((kfac(problem).dense() - block).norm() / block.norm())
            for method, length in dict.fromkeys((("kfac", 1.0), ("kfac", 1 / depth), ("exact", 1.0))):
                errors = run(problem, solution, method, length)
                rows.append(
                    {
                        "study": "deep linear",
                        "depth": depth,
                        "kappa": kappa,
                        "method": method,
                        "length": length,
                        "block_difference": difference,
                        "predicted_rate": abs(1 - length * depth) if method == "kfac" else abs(1 - length),
                        "measured_rate": errors[1] / errors[0],
                        "exponent": exponent(errors),
                        "errors": [error / errors[0] for error in errors],
                    }
                )
    return rows


def run(problem: Problem, solution: Tensor, method: str, length: float, steps: int = STEPS) -> list[float]:
    """Errors of the function along steps with K-FAC, or with the whole Fisher."""
    errors = [function_error(problem, solution)]
    for _ in range(steps):
        slope = gradient(problem)
        if method == "kfac":
            step = -length * kfac(problem).solve_exactly(slope)
        elif method == "block":
            step = -length * solve_psd(fisher(problem).block_diagonal(), slope)
        else:
            step = natural_gradient_step(fisher(problem).dense(), slope, length)
        problem = problem.at(problem.vector + step)
        errors.append(function_error(problem, solution))
        if not 1e-12 < errors[-1] < 1e3:
            break
    return errors


def exponent(errors: Sequence[float]) -> float | None:
    """The order of convergence, from the errors between 1e-10 and the start; None where fewer than three fall."""
    falling = [errors[0]]
    for error in errors[1:]:
        if not 1e-10 < error < 0.5 * falling[-1]:
            break
        falling.append(error)
    if len(falling) < 3:
        return None
    kept = torch.tensor(falling, dtype=torch.float64)
    return power_law_exponent(kept[:-1], kept[1:])
