"""asdfghjkl, whose module is called asdl: the exact and the empirical Fisher in its shapes, and gradients of samples, by hooks.

Its convention: losses are summed and divided by ``data_size``, and the block of a bias is a factor of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.adapters import (
    Peer,
    either,
    matrix_too_large,
    not_classification,
    not_layered,
    too_many_rows,
)
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.task import DAMPING, vector_of
from fishergauge.suites.peers.adapting import joined, own_model, quiet, shaped, trained

FISHERS = {"fisher": "fisher_exact", "ggn": "fisher_exact", "empirical-fisher": "fisher_emp"}

_made = Peer("asdfghjkl", "asdl")


def implementations() -> list[Implementation]:
    """Its shapes of the Fisher and its Hessian."""
    plain = either(not_classification, not_layered)
    rows = either(plain, too_many_rows)
    small = either(rows, matrix_too_large)
    found = []
    for quantity, fisher in FISHERS.items():
        found += [
            _made(quantity, "dense", partial(_shape, fisher, "full", _full), small),
            _made(quantity, "blocks", partial(_shape, fisher, "layer_wise", _blocks), small),
            _made(quantity, "diagonal", partial(_shape, fisher, "diag", _diagonal), either(plain, _squares_positions)),
            _made(quantity, "product", partial(_product, fisher), rows),
            _made(quantity, "first-product", partial(_product, fisher), rows),
            _made(quantity, "solve", partial(_solve, fisher), small),
        ]
    for quantity, fisher in (("kfac", "fisher_exact"), ("kfac-empirical", "fisher_emp")):
        prepare = partial(_shape, fisher, "kron", _factors)
        found.append(_made(quantity, "factors", prepare, plain, "separate", _pairs))
    found += [
        _made("gradient", "rows", _rows, rows),
        _made("hessian", "dense", _hessian, either(plain, matrix_too_large, _many_passes)),
        _made("hessian", "product", _hessian_product, plain),
        _made("hessian", "first-product", _hessian_product, plain),
    ]
    return found


def _squares_positions(problem: Problem) -> str | None:
    """The diagonal of a convolution with few positions leaves the products of different positions out."""
    noted: list[tuple[int, int, int]] = []

    def note(module: nn.Module, _: Any, output: Tensor) -> None:
        weight: Any = module.weight
        noted.append((output[0, 0].numel(), len(weight), weight[0].numel()))

    model = own_model(problem)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        model(problem.inputs[:1])
    wrong = any(positions * (rows + columns) < rows * columns for positions, rows, columns in noted)
    return "its diagonal of a large convolution leaves products of different positions out" if wrong else None


def _many_passes(problem: Problem) -> str | None:
    """One backward pass for each parameter."""
    return "its Hessian takes a backward pass a parameter" if problem.num_parameters > 2000 else None


def _layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def _maker(problem: Problem, model: nn.Module, fisher: str, shape: str) -> Any:
    """What computes a Fisher in a shape at each call of ``forward_and_backward``."""
    with quiet():
        from asdl.fisher import FisherConfig, get_fisher_maker
    size = problem.num_samples
    config = FisherConfig(fisher_type=fisher, fisher_shapes=[shape], loss_type="cross_entropy", data_size=size)
    maker = get_fisher_maker(model, config)
    outputs = maker.setup_model_call(model, problem.inputs)
    if fisher == "fisher_emp":
        maker.setup_loss_call(nn.CrossEntropyLoss(reduction="sum"), outputs, problem.targets)
    return maker


def _shape(fisher: str, shape: str, read: Callable[[nn.Module], Any], problem: Problem) -> Call:
    model = own_model(problem)
    maker = _maker(problem, model, fisher, shape)

    def call() -> Any:
        with quiet():
            maker.forward_and_backward()
        return read(model)

    return call


def _full(model: Any) -> Any:
    return model.fisher.data


def _blocks(model: nn.Module) -> Any:
    return [layer.fisher.data for layer in _layers(model)]


def _diagonal(model: nn.Module) -> Any:
    parts = [layer.fisher.diag for layer in _layers(model)]
    return [piece for part in parts for piece in (part.weight, part.bias) if piece is not None]


def _factors(model: nn.Module) -> Any:
    return [(layer.fisher.kron.B, layer.fisher.kron.A) for layer in _layers(model)]


def _pairs(_: Problem, factors: Any) -> Tensor:
    return factor_pairs(factors)


def _product(fisher: str, problem: Problem) -> Call:
    """Its product computes the gradients of the samples anew each time."""
    from asdl.vector import ParamVector

    model = own_model(problem)
    maker = _maker(problem, model, fisher, "full")
    vector = ParamVector(trained(model), shaped(vector_of(problem), model))

    def product() -> Tensor:
        with quiet():
            maker.forward_and_backward(fvp=True, vec=vector)
        return joined(list(maker.load_fvp("full").values()))

    return product


def _solve(fisher: str, problem: Problem) -> Call:
    """By its inverse, from a Cholesky decomposition."""
    from asdl.symmatrix import SymMatrix
    from asdl.vector import ParamVector

    model: Any = own_model(problem)
    with quiet():
        _maker(problem, model, fisher, "full").forward_and_backward()
    data, vector = model.fisher.data, ParamVector(trained(model), shaped(vector_of(problem), model))

    def solve() -> Tensor:
        matrix = SymMatrix(data=data)  # the damping is added to the diagonal, and taken off again
        matrix.update_inv(damping=DAMPING)
        return joined(list(matrix.mvp(vectors=vector, use_inv=True).values()))

    return solve


def _rows(problem: Problem) -> Call:
    with quiet():
        from asdl.gradient import batch_gradient
    model, loss = own_model(problem), nn.CrossEntropyLoss(reduction="sum")

    def closure() -> Tensor:
        model.zero_grad()
        value: Tensor = loss(model(problem.inputs), problem.targets)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    def rows() -> Any:
        with quiet():
            return batch_gradient(model, closure)

    return rows


def _hessian_maker(problem: Problem, model: nn.Module) -> Any:
    with quiet():
        from asdl.hessian import HessianConfig, HessianMaker
    maker = HessianMaker(model, HessianConfig(hessian_shapes=["full"]))
    maker.setup_loss_call(problem.loss, maker.setup_model_call(model, problem.inputs), problem.targets)
    return maker


def _hessian(problem: Problem) -> Call:
    model: Any = own_model(problem)
    maker = _hessian_maker(problem, model)

    def dense() -> Any:
        maker.forward_and_backward()
        return model.hessian.data

    return dense


def _hessian_product(problem: Problem) -> Call:
    from asdl.vector import ParamVector

    model: Any = own_model(problem)
    maker = _hessian_maker(problem, model)
    vector = ParamVector(trained(model), shaped(vector_of(problem), model))

    def product() -> Tensor:
        maker.forward_and_backward(hvp=True, vec=vector)
        return joined(list(model.hvp.values()))

    return product
