"""EKFAC: eigenvectors, and the eigenvalues that belong to them."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.suites.meta.bank.defect import NO_HESSIAN, Declaration, Defect, Family, Wrong, planted
from fishergauge.suites.meta.bank.factored import Map, eigenbasis, input_factor, maps_of, output_factor
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import scaled
from fishergauge.suites.subject import Subject

EIGEN = Family(NO_HESSIAN, ("eigen-kronecker",))
DECLARED = Declaration(structure="eigen-kronecker", bias="joint")

Block = Callable[[Pieces, Map, Tensor, Tensor, Tensor], Tensor]


def blockwise(block: Block) -> Wrong:
    """A matrix of blocks, each from the pieces, the layer, the eigenbasis, the right values and those of K-FAC."""

    def wrong(pieces: Pieces, subject: Subject) -> Tensor:
        root = pieces.root(subject.target)
        rows = pieces.rows(root).flatten(0, 1)
        result = torch.zeros_like(pieces.dense(subject.target))
        for layer in maps_of(pieces, subject, root):
            outer, inner = output_factor(pieces, subject, layer), input_factor(pieces, subject, layer)
            index, basis = layer.index.flatten(), eigenbasis(outer, inner)
            values = (rows[:, index] @ basis).square().sum(0) / pieces.divisor
            products = torch.outer(torch.linalg.eigvalsh(outer), torch.linalg.eigvalsh(inner)).flatten()
            result[index[:, None], index] = block(pieces, layer, basis, values, products)
        return result

    return wrong


def transposed(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """U' D U."""
    return (basis.T * values) @ basis


def turned_wrongly(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """Gradients turned by U where U' belongs, then the right way back."""
    rows = pieces.rows(pieces.root("ggn")).flatten(0, 1)[:, layer.index.flatten()] @ basis.T
    return (basis * (rows.square().sum(0) / pieces.divisor)) @ basis.T


def descending(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """Eigenvalues in the reverse order of the eigenvectors."""
    return (basis * values.flip(0)) @ basis.T


def sorted_values(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """Eigenvalues sorted on their own."""
    return (basis * values.sort().values) @ basis.T


def of_kfac(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """The eigenvalues of K-FAC kept."""
    return (basis * products) @ basis.T


def of_mean_gradient(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """Eigenvalues from the gradient of the batch."""
    mean = pieces.gradients.sum(0) / pieces.divisor
    return (basis * (mean[layer.index.flatten()] @ basis).square()) @ basis.T


def of_given_labels(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """Eigenvalues from the given labels, the basis from the Fisher."""
    rows = pieces.gradients[:, layer.index.flatten()] @ basis
    return (basis * (rows.square().sum(0) / pieces.divisor)) @ basis.T


def exchanged(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """Eigenvalues laid out with the axes of both factors exchanged."""
    return (basis * values.view(layer.index.shape).T.reshape(-1)) @ basis.T


def roots_of_values(pieces: Pieces, layer: Map, basis: Tensor, values: Tensor, products: Tensor) -> Tensor:
    """The square roots of the eigenvalues."""
    return (basis * values.sqrt()) @ basis.T


EIGENBASIS: tuple[Defect, ...] = (
    planted(
        "D15",
        "EKFAC eigenvalues left as sums",
        "EleutherAI/bergson#375",
        scaled(lambda p: p.divisor),
        EIGEN,
        DECLARED,
        sees=("T5", "T8", "T11", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "D43",
        "eigenvectors transposed in EKFAC",
        "several EKFAC implementations",
        blockwise(transposed),
        EIGEN,
        DECLARED,
        sees=("T5", "T11", "T11-basis", "T26-outputs", "T26-units"),
    ),
    planted(
        "P110",
        "gradients turned by the transposed eigenvectors",
        "likely",
        blockwise(turned_wrongly),
        Family(("fisher", "ggn"), ("eigen-kronecker",)),
        DECLARED,
        sees=("T5", "T11", "T12-orthogonal", "T26-outputs", "T26-units"),
    ),
    planted(
        "P111",
        "eigenvalues in the reverse order of the eigenvectors",
        "likely",
        blockwise(descending),
        EIGEN,
        DECLARED,
        sees=("T5", "T8", "T11", "T26-order", "T26-units"),
    ),
    planted(
        "P112",
        "eigenvalues sorted on their own",
        "likely",
        blockwise(sorted_values),
        EIGEN,
        DECLARED,
        sees=("T5", "T8", "T11", "T26-outputs", "T26-units"),
    ),
    planted(
        "P113",
        "the eigenvalues of K-FAC kept",
        "likely: K-FAC sold as EKFAC",
        blockwise(of_kfac),
        EIGEN,
        DECLARED,
        sees=("T11",),
    ),
    planted(
        "P114",
        "eigenvalues from the gradient of the whole batch",
        "likely",
        blockwise(of_mean_gradient),
        EIGEN,
        DECLARED,
        sees=("T2", "T5", "T8", "T11", "T26-sum-over-mean"),
    ),
    planted(
        "P115",
        "eigenvalues from the given labels",
        "likely",
        blockwise(of_given_labels),
        Family(("fisher", "ggn"), ("eigen-kronecker",)),
        DECLARED,
        sees=("T2", "T5", "T6", "T8", "T11"),
    ),
    planted(
        "P116",
        "eigenvalues with the axes of both factors exchanged",
        "likely",
        blockwise(exchanged),
        EIGEN,
        DECLARED,
        sees=("T5", "T8", "T11", "T26-outputs", "T26-units"),
    ),
    planted(
        "P117",
        "the square roots of the eigenvalues",
        "likely: Adam's second moment",
        blockwise(roots_of_values),
        EIGEN,
        DECLARED,
        sees=("T5", "T8", "T11", "T26-duplicated", "T26-sum-over-mean"),
    ),
)
