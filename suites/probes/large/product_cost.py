"""What one product costs: of the exact matrix and of its Kronecker factorisation, made anew."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from fishergauge.reference import Problem, ggn, hessian, kfac
from fishergauge.reference.curvature import Curvature
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.probes.large.budget import Peak
from fishergauge.suites.seeding import generator

MATRICES: Mapping[str, Callable[[Problem], Curvature]] = {"ggn": ggn, "hessian": hessian, "kfac": kfac}


@dataclass(frozen=True)
class ProductCost:
    """The cost of a product.

    Args:
        problem: its name.
        matrix: one of :data:`MATRICES`.
        first: seconds until the first product, the making of the matrix included.
        seconds: of a further product, the least of some.
        peak: bytes that tensors hold at the peak of making the matrix and of the first product.
    """

    problem: str
    matrix: str
    first: float
    seconds: float
    peak: Peak


def product_cost(problem: Problem, matrix: str, repetitions: int = 3) -> ProductCost:
    """Make a matrix and multiply it with a normal vector: timed, and once more with its bytes counted.

    Args:
        problem: P parameters.
        matrix: one of :data:`MATRICES`.
        repetitions: further products that are timed.

    Example:
        >>> from fishergauge.suites.probes.large.catalogue import LARGE
        >>> cost = product_cost(LARGE["mlp-1e4"].problem(), "ggn", 1)
        >>> cost.peak.num_parameters, cost.peak.peak_bytes < 8 * 4 * 9760
        (9760, True)
    """
    make, size = MATRICES[matrix], problem.num_parameters
    drawn = torch.randn(size, generator=generator("product cost", problem.name), dtype=problem.dtype)
    vector = drawn.to(problem.device)
    _ = make(problem) @ vector  # what is loaded and planned at the first product of all
    started = time.perf_counter()
    made = make(problem)
    _ = made @ vector
    first = time.perf_counter() - started
    further = []
    for _ in range(repetitions):
        started = time.perf_counter()
        _ = made @ vector
        further.append(time.perf_counter() - started)
    del made, _
    peak = peak_bytes(lambda: make(problem) @ vector, problem.device.type)
    return ProductCost(problem.name, matrix, first, min(further), Peak(size, peak))
