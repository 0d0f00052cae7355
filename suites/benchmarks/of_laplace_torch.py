"""laplace-torch: the GGN, the empirical Fisher and the Hessian by its three backends.

Its convention: losses are summed, so that everything is N times the mean's; the block of a bias is a factor of its own. It
makes arrays of torch's default dtype: in double precision CurvlinopsGGN.full otherwise returns a matrix of single precision.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.adapters import (
    either,
    jacobian_too_large,
    matrix_too_large,
    not_classification,
    not_layered,
    too_many_rows,
)
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Call, Implementation, flattened
from fishergauge.suites.benchmarks.of_reference import LARGEST_ARRAY
from fishergauge.suites.benchmarks.task import Operation, Task
from fishergauge.suites.peers.adapting import own_model, quiet, settings_of, under

BACKENDS = {"": "Curvlinops", "asdl": "Asdl", "backpack": "BackPack"}
"""By variant; the first is the default of the library."""
TARGETS = {"fisher": "GGN", "ggn": "GGN", "empirical-fisher": "EF"}


def implementations() -> list[Implementation]:
    """The curvature interfaces; what is a posterior is left to the library."""
    plain = either(not_classification, not_layered)
    found = []
    for variant, backend in BACKENDS.items():
        for quantity, target in TARGETS.items():
            kind, rows = f"{backend}{target}", jacobian_too_large if target == "GGN" else too_many_rows
            dense = either(plain, matrix_too_large, _columns if backend == "Curvlinops" else rows)
            found.append(_made(quantity, "dense", variant, partial(_scaled, kind, "full"), dense))
            diagonal = either(plain, _whole_batch if target == "GGN" else rows, rows) if backend == "Curvlinops" else plain
            found.append(_made(quantity, "diagonal", variant, partial(_scaled, kind, "diag"), diagonal))
        found.append(_made("gradient", "rows", variant, partial(_rows, f"{backend}EF"), either(plain, too_many_rows)))
        layered = either(plain, _convolutional) if backend == "BackPack" else plain
        found.append(_made("kfac", "factors", variant, partial(_factors, f"{backend}GGN"), layered, _pairs))
        if backend != "BackPack":
            found.append(_made("kfac-empirical", "factors", variant, partial(_factors, f"{backend}EF"), plain, _pairs))
    found.append(_made("hessian", "dense", "", partial(_scaled, "CurvlinopsHessian", "full"), either(plain, _columns)))
    return found


def _made(
    quantity: str,
    operation: Operation,
    variant: str,
    prepare: Callable[[Problem], Call],
    refuses: Callable[[Problem], str | None],
    canonical: Callable[[Problem, Any], Tensor] = flattened,
) -> Implementation:
    name = f"laplace-torch:{variant}" if variant else "laplace-torch"
    return Implementation(name, "peer", Task(quantity, operation), prepare, canonical, refuses, ("laplace",))


def _convolutional(problem: Problem) -> str | None:
    convolutional = any(isinstance(module, nn.Conv2d) for module in problem.model.modules())
    return "BackPACK sums the positions of a convolution first: other factors" if convolutional else None


def _widest(problem: Problem) -> int:
    """The largest number of outputs of a module, all samples together."""
    sizes: list[int] = []
    model = own_model(problem)
    for module in model.modules():
        module.register_forward_hook(lambda _, __, output: sizes.append(output.numel()))
    with torch.no_grad():
        model(problem.inputs)
    return max(sizes)


def _whole_batch(problem: Problem) -> str | None:
    """Its Jacobian differentiates every output of every sample through the whole batch."""
    size = problem.outputs.numel() * _widest(problem) * problem.dtype.itemsize
    return f"its Jacobian of the whole batch takes {size / 2**30:.1f} GiB" if size > LARGEST_ARRAY else None


def _columns(problem: Problem) -> str | None:
    """It multiplies all unit vectors at once."""
    size = problem.num_parameters * _widest(problem) * problem.dtype.itemsize
    return f"its products with all unit vectors take {size / 2**30:.1f} GiB" if size > LARGEST_ARRAY else None


def _interface(kind: str, problem: Problem) -> Any:
    """A curvature interface over a model of its own, told the number of outputs as Laplace tells it."""
    with quiet():
        import laplace.curvature
    model: Any = own_model(problem)
    model.output_size = problem.outputs.shape[1]
    return getattr(laplace.curvature, kind)(model, "classification")


def _scaled(kind: str, method: str, problem: Problem) -> Call:
    with settings_of(problem):
        interface = _interface(kind, problem)
    call = getattr(interface, method)
    return under(problem, lambda: call(problem.inputs, problem.targets, N=problem.num_samples)[1] / problem.num_samples)


def _rows(kind: str, problem: Problem) -> Call:
    with settings_of(problem):
        interface = _interface(kind, problem)
    return under(problem, lambda: interface.gradients(problem.inputs, problem.targets)[0].detach())


def _factors(kind: str, problem: Problem) -> Call:
    with settings_of(problem):
        interface = _interface(kind, problem)
    size = problem.num_samples

    def factors() -> Any:
        return [block for block in interface.kron(problem.inputs, problem.targets, N=size)[1].kfacs if len(block) == 2]

    return under(problem, factors)


def _pairs(problem: Problem, factors: Any) -> Tensor:
    """(N G, A) of the weights."""
    return factor_pairs((output_factor / problem.num_samples, inputs) for output_factor, inputs in factors)
