"""BackPACK's counterparts of the reference quantities as implementations.

The model is copied and extended once, in the preparation; a call is one forward and one backward pass with the extension, and
what makes a matrix of the saved values.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from backpack import extensions
from backpack.extensions.backprop_extension import BackpropExtension
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.reference.backpack_products import evaluated, ggn_product, hessian_product
from fishergauge.reference.backpack_run import Extended
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Call, Implementation, flattened
from fishergauge.suites.benchmarks.of_reference import rows_too_large, too_large
from fishergauge.suites.benchmarks.task import Operation, Task, vector_of
from fishergauge.suites.seeding import derived_seed

NAME = "backpack"

Saved = Mapping[str, Any]
Finish = Callable[[Problem, Saved], Any]
Refuses = Callable[[Problem], "str | None"]


def implementations() -> list[Implementation]:
    """What BackPACK computes of the reference quantities.

    For a negative log-likelihood its GGN is the Fisher.
    """
    return [*_matrices(), *_diagonals(), *_rest(), *_products()]


def _matrices() -> Iterator[Implementation]:
    forms: dict[Operation, Callable[..., Any]] = {"dense": _dense, "blocks": _blocks}
    for operation, form in forms.items():
        exact = partial(form, axes=2)
        yield _made("ggn", operation, extensions.SqrtGGNExact, exact, too_large)
        yield _made("fisher", operation, extensions.SqrtGGNExact, exact, too_large, likelihood=True)
        yield _made("monte-carlo-fisher", operation, extensions.SqrtGGNMC, exact, too_large, likelihood=True)
        yield _made("empirical-fisher", operation, extensions.BatchGrad, partial(form, axes=1, scaled=True), too_large)


def _diagonals() -> Iterator[Implementation]:
    yield _made("ggn", "diagonal", extensions.DiagGGNExact, _vector)
    yield _made("fisher", "diagonal", extensions.DiagGGNExact, _vector, likelihood=True)
    yield _made("monte-carlo-fisher", "diagonal", extensions.DiagGGNMC, _vector, likelihood=True)
    yield _made("empirical-fisher", "diagonal", extensions.SumGradSquared, partial(_vector, scaled=True))
    yield _made("hessian", "diagonal", extensions.DiagHessian, _vector)


def _rest() -> Iterator[Implementation]:
    yield _made("gradient", "rows", extensions.BatchGrad, _sample_gradients, rows_too_large)
    yield _made(
        "kfac", "factors", extensions.KFLR, lambda _, saved: saved, _not_linear, likelihood=True, canonical=_factor_pairs
    )
    yield _made("kfac-separate", "dense", extensions.KFLR, _kronecker, _not_linear_or_large, likelihood=True)


def _products() -> Iterator[Implementation]:
    for quantity, product in (("ggn", ggn_product), ("fisher", ggn_product), ("hessian", hessian_product)):

        def first(problem: Problem, product: Any = product, likelihood: bool = quantity == "fisher") -> Call:
            _check(problem, likelihood)
            vector = list(problem.unflatten(vector_of(problem)).values())
            return lambda: product(evaluated(problem), vector)

        def at_hand(problem: Problem, product: Any = product, likelihood: bool = quantity == "fisher") -> Call:
            _check(problem, likelihood)
            at, vector = evaluated(problem), list(problem.unflatten(vector_of(problem)).values())
            return lambda: product(at, vector)

        yield Implementation(NAME, "backpack", Task(quantity, "first-product"), first, requires=("backpack",))
        yield Implementation(NAME, "backpack", Task(quantity, "product"), at_hand, requires=("backpack",))


def _made(
    quantity: str,
    operation: Operation,
    extension: type[BackpropExtension],
    finish: Finish,
    refuses: Refuses = lambda problem: None,
    likelihood: bool = False,
    canonical: Callable[[Problem, Any], Tensor] = flattened,
) -> Implementation:
    def prepare(problem: Problem) -> Call:
        _check(problem, likelihood)
        extended = Extended(problem, extension())
        seed = derived_seed("benchmark draw", problem.name)
        return lambda: finish(problem, extended.saved(seed))

    return Implementation(NAME, "backpack", Task(quantity, operation), prepare, canonical, refuses, ("backpack",))


def _check(problem: Problem, likelihood: bool) -> None:
    if likelihood:
        problem.likelihood.require_likelihood("the Fisher", problem.targets)


def _dense(problem: Problem, saved: Saved, axes: int, scaled: bool = False) -> Tensor:
    """The sum of the outer products of the saved rows, whose first axes count samples and outputs."""
    rows = torch.cat([_rows(value, axes) for value in saved.values()], 1)
    matrix = rows.T @ rows
    return matrix.mul_(_divisor(problem)) if scaled else matrix


def _blocks(problem: Problem, saved: Saved, axes: int, scaled: bool = False) -> dict[str, Tensor]:
    by_layer: dict[str, list[Tensor]] = {}
    for name, value in saved.items():
        by_layer.setdefault(name.rpartition(".")[0], []).append(_rows(value, axes))
    together = {name: torch.cat(pieces, 1) for name, pieces in by_layer.items()}
    scale = _divisor(problem) if scaled else 1
    return {name: (rows.T @ rows).mul_(scale) for name, rows in together.items()}


def _rows(value: Tensor, axes: int) -> Tensor:
    return value.detach().flatten(0, axes - 1).flatten(1)


def _vector(problem: Problem, saved: Saved, scaled: bool = False) -> Tensor:
    vector = torch.cat([value.detach().reshape(-1) for value in saved.values()])
    return vector.mul_(_divisor(problem)) if scaled else vector


def _sample_gradients(problem: Problem, saved: Saved) -> Tensor:
    """BackPACK's gradients are those of the summands of the objective, divided by M."""
    return torch.cat([value.flatten(1) for value in saved.values()], 1).mul_(_divisor(problem))


def _kronecker(_: Problem, saved: Saved) -> Tensor:
    blocks = []
    for outer, *inner in saved.values():
        blocks.append(torch.kron(outer.contiguous(), inner[0].contiguous()) if inner else outer)
    matrix: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return matrix


def _divisor(problem: Problem) -> float:
    """M, for one label a sample."""
    loss: Any = problem.loss
    if loss.reduction == "sum":
        return 1.0
    return float(problem.targets.numel() if isinstance(loss, nn.MSELoss | nn.BCEWithLogitsLoss) else len(problem.targets))


def _factor_pairs(_: Problem, saved: Saved) -> Tensor:
    return factor_pairs((factors[0], factors[1]) for factors in saved.values() if len(factors) == 2)


def _not_linear(problem: Problem) -> str | None:
    """Why its factors are another approximation, or None."""
    if any(isinstance(module, nn.modules.conv._ConvNd) for module in problem.model.modules()):
        return "for convolutions BackPACK's factors are another approximation: gradients are summed over the positions"
    return None


def _not_linear_or_large(problem: Problem) -> str | None:
    return _not_linear(problem) or too_large(problem)
