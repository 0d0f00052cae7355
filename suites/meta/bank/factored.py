"""Kronecker factors put together from inputs and gradients of the layers, so that each step can be planted wrong."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.suites.meta.bank.defect import Wrong
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.subject import Subject


@dataclass(frozen=True, eq=False)
class Map:
    """The parameters of a layer that share a block, with what enters and what comes back.

    Args:
        name: of the module.
        module: the module.
        index: places of its parameters, ``(D_out, D)``; with a joint bias as last column.
        inputs: ``(N, T, D)``, with a 1 for a joint bias; the 1 alone for a bias of its own.
        counted: which positions count, ``(N, T)``.
        gradients: ``(K, R, T, D_out)``.
        joint: whether the last input is the bias.
        alone: whether it is a bias of its own.
    """

    name: str
    module: nn.Module
    index: Tensor
    inputs: Tensor
    counted: Tensor
    gradients: Tensor
    joint: bool
    alone: bool

    @property
    def positions(self) -> int:
        """T."""
        return self.inputs.shape[1]


def maps_of(pieces: Pieces, subject: Subject, root: Tensor) -> list[Map]:
    """The maps of all layers, with the vectors of a root ``(K, R, C)`` pulled back to their outputs."""
    found, places = [], pieces.places()
    for name, layer in pieces.statistics.layers.items():
        gradients = torch.einsum("krc,kcto->krto", root, pieces.layer_jacobians[name])
        module, counted = pieces.problem.model.get_submodule(name), pieces.statistics.counted(name)
        ones = torch.ones_like(layer.inputs[..., :1])
        weight = None if layer.weight is None else places[layer.weight].flatten(1)
        bias = None if layer.bias is None else places[layer.bias][:, None]
        joint = subject.bias != "separate" and weight is not None and bias is not None
        if joint:
            assert weight is not None
            assert bias is not None
            inputs = torch.cat([layer.inputs, ones], -1)
            found.append(Map(name, module, torch.cat([weight, bias], 1), inputs, counted, gradients, True, False))
            continue
        if weight is not None:
            found.append(Map(name, module, weight, layer.inputs, counted, gradients, False, False))
        if bias is not None:
            found.append(Map(name, module, bias, ones, counted, gradients, False, True))
    return found


Factor = Callable[[Pieces, Subject, Map], Tensor]
Join = Callable[[Map, Tensor, Tensor], Tensor]


def input_factor(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """A."""
    rows = input_rows(subject, layer)
    return rows.T @ rows / max(1, len(rows))


def input_rows(subject: Subject, layer: Map) -> Tensor:
    """The inputs that A is the second moment of, ``(n, D)``."""
    if subject.sharing == "expand":
        return layer.inputs[layer.counted]
    weights = layer.counted.to(layer.inputs.dtype)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("nt,nti->ni", weights, layer.inputs)[layer.counted.any(1)]


def gradient_rows(subject: Subject, layer: Map) -> Tensor:
    """The gradients whose products add up to M G, ``(n, D_out)``."""
    g = layer.gradients
    return (g.sum(2) if subject.sharing == "reduce" else g).flatten(0, -2)


def output_factor(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """G."""
    rows = gradient_rows(subject, layer)
    return rows.T @ rows / pieces.divisor


def product(layer: Map, outer: Tensor, inner: Tensor) -> Tensor:
    """G kron A."""
    return torch.kron(outer.contiguous(), inner.contiguous())


def assembled(
    pieces: Pieces,
    subject: Subject,
    root: Tensor,
    inner: Factor = input_factor,
    outer: Factor = output_factor,
    join: Join = product,
) -> Tensor:
    """The matrix of factors; for ``eigen-kronecker`` the diagonal of the root's exact blocks in their eigenbasis."""
    result = pieces.jacobian.new_zeros(2 * (pieces.problem.num_parameters,))
    rows = None
    for layer in maps_of(pieces, subject, root):
        G, A = outer(pieces, subject, layer), inner(pieces, subject, layer)
        index = layer.index.flatten()
        if subject.structure == "eigen-kronecker":
            rows = pieces.rows(root).flatten(0, 1) if rows is None else rows
            basis = eigenbasis(G, A)
            values = (rows[:, index] @ basis).square().sum(0) / pieces.divisor
            block = (basis * values) @ basis.T
        else:
            block = join(layer, G, A)
        result[index[:, None], index] = block
    return result


def eigenbasis(outer: Tensor, inner: Tensor) -> Tensor:
    """The Kronecker product of the eigenvectors of both factors, each in ascending order of eigenvalues."""
    vectors = [torch.linalg.eigh((factor + factor.T) / 2)[1].contiguous() for factor in (outer, inner)]
    return torch.kron(vectors[0], vectors[1])


def right_factored(pieces: Pieces, subject: Subject) -> Tensor:
    """The right matrix of a Kronecker factorisation."""
    return assembled(pieces, subject, pieces.root(subject.target))


def factored_of_root(pieces: Pieces, subject: Subject, root: Tensor) -> Tensor:
    """The matrix of a wrong root."""
    return assembled(pieces, subject, root)


def wrong_factors(inner: Factor = input_factor, outer: Factor = output_factor, join: Join = product) -> Wrong:
    """The right root, with a step of the factorisation wrong."""
    return lambda pieces, subject: assembled(pieces, subject, pieces.root(subject.target), inner, outer, join)
