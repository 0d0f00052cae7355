"""What asdfghjkl leaves on the modules of a model, as one matrix, and its damped inverses.

Its order is that of the modules, weight before bias; its Kronecker factors are A (inputs) and B (outputs), the block of a
weight is B kron A, and that of a bias is B. Units are the rows of a weight, each with its bias behind it.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.suites.peers.adapting import joined, shaped, trained

SHAPES = ("layer_wise", "kron", "swift_kron", "kfe", "unit_wise", "diag")


class Held:
    """A matrix ``(P, P)`` that was read from a model, and the model with the library's own objects.

    Args:
        model: on whose modules the library left its matrices.
        dense: the matrix, in the canon.
        shape_name: the library's word for what was kept.
        factor: the matrix over the library's.
    """

    def __init__(self, model: nn.Module, dense: Tensor, shape_name: str, factor: float) -> None:
        self.model = model
        self.dense = dense
        self.shape = dense.shape
        self.shape_name = shape_name
        self.factor = factor

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return self.dense @ vectors


def modules_with(model: nn.Module, name: str) -> Iterator[tuple[Any, Any]]:
    """The modules on which the library left a matrix under a name, and the matrix."""
    for module in model.modules():
        if getattr(module, name, None) is not None:
            yield module, getattr(module, name)


def places(model: nn.Module) -> dict[int, Tensor]:
    """Where each trained parameter stands in the canon, by its id."""
    found, begin = {}, 0
    for parameter in trained(model):
        found[id(parameter)] = torch.arange(begin, begin + parameter.numel())
        begin += parameter.numel()
    return found


def _places_of(module: Any, where: dict[int, Tensor]) -> list[Tensor]:
    own = [getattr(module, name, None) for name in ("weight", "bias")]
    return [where[id(p)] for p in own if p is not None and id(p) in where]


def read(model: nn.Module, shape: str, factor: float, name: str = "fisher") -> Held:
    """The matrix that the library left on a model, in the canon; zeros where it left nothing.

    Args:
        model: after the call of a maker.
        shape: the library's word for what was kept.
        factor: by which it is multiplied.
        name: of the attribute.
    """
    if shape == "full":
        data = getattr(model, name).data  # as it is: it may be smaller than (P, P)
        return Held(model, data * factor, shape, factor)
    where = places(model)
    size = sum(len(place) for place in where.values())
    dense = torch.zeros(size, size, dtype=trained(model)[0].dtype)
    for module, matrix in modules_with(model, name):
        for rows, block in _blocks(module, matrix, shape, where):
            # a Hessian of a shared weight is whole at each of its layers, a Fisher is that of one use
            before = 0.0 if name == "hessian" else dense[rows[:, None], rows]
            dense[rows[:, None], rows] = before + block * factor
    return Held(model, dense, shape, factor)


def _blocks(module: Any, matrix: Any, shape: str, where: dict[int, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The blocks that a module contributes, each with its place."""
    own = _places_of(module, where)
    if shape == "layer_wise":
        yield torch.cat(own), matrix.data
    elif shape == "diag":
        parts = [matrix.diag.weight, matrix.diag.bias]
        yield torch.cat(own), torch.diag(torch.cat([part.reshape(-1) for part in parts if part is not None]))
    elif shape == "unit_wise":
        yield from _units(module, matrix.unit.data, where)
    else:
        for index, parameter in enumerate((module.weight, getattr(module, "bias", None))):
            if parameter is not None and id(parameter) in where:
                block = _factored(matrix.kfe, index) if shape == "kfe" else _product(matrix.kron, index)
                yield where[id(parameter)], block


def _units(module: Any, data: Tensor, where: dict[int, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The block of each unit, its bias last; a frozen weight has entries in it and no place."""
    if id(module.weight) not in where:
        yield from zip(where[id(module.bias)].reshape(len(data), 1), data[:, -1:, -1:], strict=True)
        return
    rows = [where[id(module.weight)].reshape(len(data), -1)]
    if module.bias is not None and id(module.bias) in where:
        rows.append(where[id(module.bias)].reshape(len(data), 1))
    yield from zip(torch.cat(rows, 1), data, strict=True)


def _square(factor: Tensor) -> Tensor:
    """A factor; of its thin form, ``(n, d)``, what its inverse by the formula of Woodbury inverts."""
    return factor if factor.shape[0] == factor.shape[1] else factor.mT @ factor / len(factor)


def _product(kron: Any, index: int) -> Tensor:
    """The block of the weight (0) or the bias (1)."""
    output = _square(kron.B)
    return output if index else torch.kron(output.contiguous(), _square(kron.A).contiguous())


def _factored(kfe: Any, index: int) -> Tensor:
    """The block of the weight (0) or the bias (1)."""
    vectors = kfe.Ub if index else torch.kron(kfe.Ub.contiguous(), kfe.Ua.contiguous())
    block: Tensor = vectors * kfe.scale[index].reshape(-1) @ vectors.mT
    return block


def solve(held: Held, vector: Tensor, damping: float) -> Tensor:
    """The damped inverse as the library applies it, its damping in the units of its own matrix."""
    from asdl.vector import ParamVector

    own = damping / held.factor
    pieces = [piece.clone() for piece in shaped(vector, held.model)]
    if held.shape_name == "full":
        matrix: Any = held.model.fisher
        matrix.update_inv(own)
        found = matrix.mvp(vectors=ParamVector(trained(held.model), pieces), use_inv=True)
        return joined(list(found.values())) / held.factor
    for _, matrix in modules_with(held.model, "fisher"):
        if held.shape_name != "kfe":
            matrix.update_inv(own)
    apply(held.model, held.shape_name, pieces, own)
    return joined(pieces) / held.factor


def apply(model: nn.Module, shape: str, pieces: list[Tensor], damping: float) -> None:
    """Multiply pieces of a vector by the inverses that the library holds, in place."""
    where = {id(parameter): piece for parameter, piece in zip(trained(model), pieces, strict=True)}
    for module, matrix in modules_with(model, "fisher"):
        part = {"layer_wise": matrix, "unit_wise": matrix.unit, "diag": matrix.diag, "kfe": matrix.kfe}.get(shape, matrix.kron)
        weight = where.get(id(module.weight))
        bias = where.get(id(getattr(module, "bias", None)))
        if shape == "kfe":  # as its EkfacGradientMaker calls it: this product is that with the inverse, damped by eps
            part.mvp(vec_weight=weight, vec_bias=bias, inplace=True, eps=damping)
        else:
            part.mvp(vec_weight=weight, vec_bias=bias, use_inv=True, inplace=True)
