"""Kronecker factorisations and their relatives by their definitions, to judge the implementations that are measured."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishergauge.reference import Problem, UnsupportedError
from fishergauge.suites.benchmarks.plain_curvature import divisor, middle

Apply = Callable[[Tensor], Tensor]

ZERO = 1e-10  # of the largest eigenvalue


@dataclass(frozen=True, eq=False)
class Factors:
    """What enters a layer and how the outputs depend on what leaves it.

    Args:
        weight: name of the weight.
        bias: name of the bias, or None.
        inputs: a, ``(N, T, D_in)``.
        slopes: the derivatives of the C outputs of each sample, ``(C, N, T, D_out)``.
    """

    weight: str
    bias: str | None
    inputs: Tensor
    slopes: Tensor


@dataclass(frozen=True, eq=False)
class Piece:
    """A block.

    Args:
        index: where its entries stand, ``(D_out, D_in)``.
        apply: its product with such a matrix.
        dense: its dense form.
        diagonal: its diagonal, ``(D_out, D_in)``.
        both: G and A, or the two bases.
        factors: G, and A of the weight without a joint bias; None for a bias of its own.
        spectra: eigenvalues of the factors whose eigenbases are used, ascending.
    """

    index: Tensor
    apply: Apply
    dense: Callable[[], Tensor]
    diagonal: Callable[[], Tensor]
    both: tuple[Tensor, Tensor]
    factors: tuple[Tensor, Tensor] | None = None
    spectra: tuple[Tensor, ...] = ()


def layer_factors(problem: Problem) -> list[Factors]:
    """Every layer of a problem, by hooks and one backward pass for each output.

    Raises:
        UnsupportedError: a parameter belongs to neither ``Linear`` nor ``Conv2d``.
    """
    model = copy.deepcopy(problem.model)
    noted: dict[str, tuple[Tensor, Tensor]] = {}
    owners = list(dict.fromkeys(name.rpartition(".")[0] for name in problem.parameters))
    for owner in owners:
        part = model.get_submodule(owner)
        if type(part) not in (nn.Linear, nn.Conv2d):
            raise UnsupportedError(f"{owner} is a {type(part).__name__}; there is no plain route to its factors here")

        def note(_: nn.Module, args: tuple[Tensor, ...], output: Tensor, owner: str = owner) -> None:
            noted[owner] = args[0].detach(), output

        part.register_forward_hook(note)
    outputs: Tensor = model(problem.inputs)
    left = [noted[owner][1] for owner in owners]
    by_output = [torch.autograd.grad(column.sum(), left, retain_graph=True) for column in outputs.T]
    found = []
    for place, owner in enumerate(owners):
        module: Any = model.get_submodule(owner)
        entered, slopes = noted[owner][0], torch.stack([grads[place] for grads in by_output])
        if isinstance(module, nn.Conv2d):
            options: dict[str, Any] = {"dilation": module.dilation, "padding": module.padding, "stride": module.stride}
            entered = functional.unfold(entered, module.kernel_size, **options).mT
            slopes = slopes.flatten(3).mT
        else:
            entered, slopes = entered[:, None], slopes[:, :, None]
        prefix = f"{owner}." if owner else ""
        bias = f"{prefix}bias" if f"{prefix}bias" in problem.parameters else None
        found.append(Factors(f"{prefix}weight", bias, entered, slopes))
    return found


def kronecker_pieces(problem: Problem, target: str, joint: bool, reduce: bool) -> list[Piece]:
    """The blocks of K-FAC, and by layer their two factors."""
    pieces = []
    weights, scale = middle(problem, target), divisor(problem)
    places = _places(problem)
    for layer in layer_factors(problem):
        inputs, slopes = _shared(layer, reduce)
        output_factor = _output_factor(slopes, weights) / scale
        rows = _with_one(inputs, layer, joint).flatten(0, 1)
        input_factor = rows.T @ rows / len(rows)
        size = inputs.shape[-1]
        shown = output_factor, input_factor[:size, :size]
        pieces.append(_kronecker(_index(places, layer, joint), output_factor, input_factor, shown))
        if layer.bias is not None and not joint:
            pieces.append(_kronecker(places[layer.bias], output_factor, output_factor.new_ones(1, 1)))
    return pieces


def eigen_pieces(problem: Problem, target: str, joint: bool, reduce: bool) -> list[Piece]:
    """The blocks of EKFAC: exact second moments in the eigenbasis of the factors."""
    pieces = []
    weights, scale = middle(problem, target), divisor(problem)
    places = _places(problem)
    for layer in layer_factors(problem):
        inputs, slopes = _shared(layer, reduce)
        left, outer = torch.linalg.eigh(_output_factor(slopes, weights) / scale)
        rows = _with_one(inputs, layer, joint).flatten(0, 1)
        right, inner = torch.linalg.eigh(rows.T @ rows / len(rows))
        values = _moments(layer, _with_one(layer.inputs, layer, joint) @ inner, outer, weights) / scale
        pieces.append(_eigen(_index(places, layer, joint), outer, inner, values, (left, right)))
        if layer.bias is not None and not joint:
            ones = torch.ones_like(layer.inputs[..., :1])
            lone = _moments(layer, ones, outer, weights) / scale
            pieces.append(_eigen(places[layer.bias], outer, inner.new_ones(1, 1), lone, (left,)))
    return pieces


def block_apply(pieces: list[Piece], size: int) -> Apply:
    """The product of the block-diagonal matrix with a vector ``(P,)``."""

    def apply(vector: Tensor) -> Tensor:
        result = vector.new_zeros(size)
        for piece in pieces:
            result[piece.index] = piece.apply(vector[piece.index])
        return result

    return apply


def damped_in_factors(pieces: list[Piece], damping: float, balanced: bool) -> list[Piece]:
    r"""The blocks :math:`(G + \sqrt\lambda / \pi) \otimes (A + \pi \sqrt\lambda)`; :math:`G + \lambda` of a lone bias."""
    result = []
    for piece in pieces:
        outer, inner = piece.both
        if len(inner) == 1 and piece.factors is None:
            result.append(_kronecker(piece.index, outer + damping * torch.eye(len(outer)).to(outer), inner))
            continue
        pi = float((inner.diagonal().mean() / outer.diagonal().mean()).sqrt()) if balanced else 1.0
        grown = outer + damping**0.5 / pi * torch.eye(len(outer)).to(outer)
        result.append(_kronecker(piece.index, grown, inner + damping**0.5 * pi * torch.eye(len(inner)).to(inner)))
    return result


def block_dense(pieces: list[Piece], like: Tensor) -> Tensor:
    """The block-diagonal matrix, ``(P, P)``."""
    matrix = like.new_zeros(len(like), len(like))
    for piece in pieces:
        index = piece.index.flatten()
        matrix[index[:, None], index] = piece.dense()
    return matrix


def block_diagonal(pieces: list[Piece], like: Tensor) -> Tensor:
    """The diagonal of the block-diagonal matrix, ``(P,)``."""
    diagonal = torch.zeros_like(like)
    for piece in pieces:
        diagonal[piece.index] = piece.diagonal()
    return diagonal


def basis_condition(piece: Piece) -> float:
    r"""The largest :math:`|X| / (\lambda_{i+1} - \lambda_i)` over both factors X, zero eigenvalues aside.

    Eigenvectors of a zero eigenvalue belong to directions in which the exact block vanishes as well.
    """
    worst = 1.0
    for values in piece.spectra:
        kept = values[values > ZERO * values[-1]]
        if len(kept) > 1:
            worst = max(worst, float(values[-1] / (kept[1:] - kept[:-1]).min().clamp(min=1e-300)))
    return worst


def quasi_diagonal_of(problem: Problem, matrix: Tensor, completed: bool = True) -> Tensor:
    """The quasi-diagonal reduction of a dense matrix: completed between the weights of a unit, or with zeros there."""
    reduced = torch.diag(matrix.diagonal())
    places = _places(problem)
    for name, index in places.items():
        bias = f"{name.rpartition('.')[0]}.bias".lstrip(".")
        if not name.endswith("weight") or bias not in places:
            continue
        for unit, own in zip(places[bias].flatten().tolist(), index, strict=True):
            corner = matrix[unit, unit]
            if completed and float(corner) > 0:
                reduced[own[:, None], own] = torch.outer(matrix[own, unit], matrix[unit, own]) / corner
                reduced[own, own] = matrix[own, own]
            reduced[unit, own] = matrix[unit, own]
            reduced[own, unit] = matrix[own, unit]
    return reduced


def shampoo_of(problem: Problem, matrix: Tensor) -> Tensor:
    """Shampoo's approximation of each parameter's block, from a dense matrix by partial traces."""
    result = torch.zeros_like(matrix)
    for index in _places(problem).values():
        places, (outer, inner) = index.flatten(), index.shape
        block = matrix[places[:, None], places].view(outer, inner, outer, inner)
        left, right = torch.einsum("oipi->op", block), torch.einsum("oioj->ij", block)
        trace = left.diagonal().sum()
        if float(trace) > 0:
            result[places[:, None], places] = torch.kron(left.contiguous(), (right / trace).contiguous())
    return result


def _places(problem: Problem) -> dict[str, Tensor]:
    """Where each parameter stands in the parameter vector, a bias as one column."""
    places, start = {}, 0
    for name, parameter in problem.parameters.items():
        stop = start + parameter.numel()
        places[name] = torch.arange(start, stop, device=problem.device).view(len(parameter), -1)
        start = stop
    return places


def _index(places: dict[str, Tensor], layer: Factors, joint: bool) -> Tensor:
    if layer.bias is None or not joint:
        return places[layer.weight]
    return torch.cat([places[layer.weight], places[layer.bias]], 1)


def _with_one(inputs: Tensor, layer: Factors, joint: bool) -> Tensor:
    if layer.bias is None or not joint:
        return inputs
    return torch.cat([inputs, torch.ones_like(inputs[..., :1])], -1)


def _shared(layer: Factors, reduce: bool) -> tuple[Tensor, Tensor]:
    """Inputs and slopes position by position, or averaged and summed over the positions."""
    if not reduce:
        return layer.inputs, layer.slopes
    return layer.inputs.mean(1, keepdim=True), layer.slopes.sum(2, keepdim=True)


def _output_factor(slopes: Tensor, weights: Tensor) -> Tensor:
    """The sum of g B g' over samples and positions, ``(D_out, D_out)``."""
    weighed = torch.einsum("ncd,dnto->cnto", weights, slopes)
    return weighed.flatten(0, 2).T @ slopes.flatten(0, 2)


def _moments(layer: Factors, turned: Tensor, outer: Tensor, weights: Tensor) -> Tensor:
    """The exact second moments of the layer's gradients in a basis, summed over the samples, ``(D_out, D_in)``."""
    values = turned.new_zeros(outer.shape[1], turned.shape[-1])
    for n, inputs in enumerate(turned):
        rows = torch.einsum("cto,ti->coi", layer.slopes[:, n] @ outer, inputs)
        values += (rows * torch.einsum("cd,doi->coi", weights[n], rows)).sum(0)
    return values


def _kronecker(index: Tensor, outer: Tensor, inner: Tensor, shown: tuple[Tensor, Tensor] | None = None) -> Piece:
    return Piece(
        index,
        lambda matrix: outer @ matrix @ inner.mT,
        lambda: torch.einsum("op,ij->oipj", outer, inner).reshape(2 * (len(outer) * len(inner),)),
        lambda: outer.diagonal()[:, None] * inner.diagonal(),
        (outer, inner),
        shown,
    )


def _eigen(index: Tensor, outer: Tensor, inner: Tensor, values: Tensor, spectra: tuple[Tensor, ...]) -> Piece:
    def apply(matrix: Tensor) -> Tensor:
        return outer @ ((outer.T @ matrix @ inner) * values) @ inner.T

    def dense() -> Tensor:
        basis = torch.einsum("op,ij->oipj", outer, inner).reshape(2 * (len(outer) * len(inner),))
        return (basis * values.reshape(-1)) @ basis.T

    return Piece(index, apply, dense, lambda: outer.square() @ values @ inner.square().T, (outer, inner), spectra=spectra)
