"""Wrong output Hessians, of the softmax above all."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishergauge.suites.meta.bank.defect import ALL, ENTRYWISE, FISHERS, Declaration, Defect, Family, NoSuchMistake, planted
from fishergauge.suites.meta.bank.labels import categorical
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import full, rooted
from fishergauge.suites.subject import Subject

OF_FISHERS = Family(FISHERS, ALL)


def class_weighted(pieces: Pieces, root: Tensor) -> Tensor:
    """A root without labels given the mass of the labels and zeros where they are masked."""
    mass = pieces.root("ggn").square().sum((1, 2)) / unweighted(pieces).square().sum((1, 2))
    return root * mass.nan_to_num(0.0).sqrt()[:, None, None]


def unweighted(pieces: Pieces) -> Tensor:
    """Rows ``sqrt(p_c) (e_c - p)``."""
    p = pieces.terms.outputs.softmax(-1)
    return p.sqrt()[:, :, None] * (torch.eye(pieces.width, dtype=p.dtype, device=p.device) - p[:, None, :])


def lost_outer_product(pieces: Pieces, subject: Subject) -> Tensor:
    """H = diag(p) where diag(p) - p p' belongs."""
    categorical(pieces)
    return class_weighted(pieces, torch.diag_embed(pieces.terms.outputs.softmax(-1).sqrt()))


def output_hessian(pieces: Pieces, hessian: Tensor) -> Tensor:
    """The full matrix of output Hessians ``(K, C, C)``."""
    weighed = torch.einsum("kcd,kdp->kcp", hessian, pieces.jacobian)
    return pieces.jacobian.flatten(0, 1).T @ weighed.flatten(0, 1) / pieces.divisor


def sign_of_outer_product(pieces: Pieces, subject: Subject) -> Tensor:
    """H = diag(p) + p p'."""
    categorical(pieces)
    root = unweighted(pieces)
    right = root.mT @ root
    wrong = 2 * torch.diag_embed(right.diagonal(dim1=1, dim2=2)) - right
    mass = pieces.root("ggn").square().sum((1, 2)) / root.square().sum((1, 2))
    return output_hessian(pieces, mass[:, None, None] * wrong)


def independent_classes(pieces: Pieces, subject: Subject) -> Tensor:
    """H = diag(p (1 - p)): the classes as so many binary labels."""
    root = pieces.root("ggn")
    return torch.diag_embed(root.square().sum(1).sqrt())


def mean_output_hessian(pieces: Pieces, subject: Subject) -> Tensor:
    """One output Hessian for all terms: their mean."""
    root = pieces.root(subject.target)
    mean = (root.mT @ root).mean(0)
    return output_hessian(pieces, mean.expand(len(root), -1, -1))


def axes_exchanged(pieces: Pieces, subject: Subject) -> Tensor:
    """Outputs ``(N, C, T)`` read as ``(N, T, C)``."""
    categorical(pieces)
    terms = pieces.terms
    count, positions, width = terms.by_sample.shape
    if positions == 1:
        raise NoSuchMistake("one position: no axes to exchange")
    misread = terms.by_sample.mT.reshape(-1, width)
    jacobian = pieces.jacobian.view(count, positions, width, -1).transpose(1, 2).reshape(-1, width, pieces.jacobian.shape[-1])
    root = pieces.problem.likelihood.hessian_root(misread, terms.labels)
    rows = (root @ jacobian).flatten(0, 1)
    return rows.T @ rows / pieces.divisor


def cancelling(pieces: Pieces, subject: Subject) -> Tensor:
    """p - p p' by subtraction: right until the outputs are confident."""
    loss, outputs = pieces.problem.loss, pieces.terms.outputs
    p = outputs.softmax(-1) if isinstance(loss, nn.CrossEntropyLoss) else outputs.sigmoid()
    if isinstance(loss, nn.MSELoss):
        raise NoSuchMistake("a Gaussian has no probabilities")
    outer = p[:, :, None] * p[:, None, :] if isinstance(loss, nn.CrossEntropyLoss) else torch.diag_embed(p * p)
    pieces.require_likelihood()
    return output_hessian(pieces, (torch.diag_embed(p) - outer) * pieces.present[:, None, None])


def probabilities_as_logits(pieces: Pieces, subject: Subject) -> Tensor:
    """The softmax applied to what is a softmax already."""
    categorical(pieces)
    outputs = functional.softmax(pieces.terms.outputs, -1)
    return pieces.problem.likelihood.hessian_root(outputs, pieces.terms.labels)


OUTPUT_HESSIANS: tuple[Defect, ...] = (
    planted(
        "D24",
        "the term - p p' of the softmax lost",
        "f-dangel/backpack 3b3570c2",
        rooted(lost_outer_product),
        OF_FISHERS,
        Declaration(target="ggn"),
        sees=("T1", "T3", "T15", "T16", "T18"),
    ),
    planted(
        "P30",
        "the sign of p p' wrong: diag(p) + p p'",
        "likely",
        full(sign_of_outer_product),
        Family(FISHERS, ENTRYWISE),
        sees=("T1", "T3", "T15", "T16", "T18"),
    ),
    planted(
        "P31",
        "the classes treated as independent: diag(p (1 - p))",
        "likely",
        rooted(independent_classes),
        OF_FISHERS,
        sees=("T1", "T3", "T15", "T16", "T18"),
    ),
    planted(
        "P32",
        "one output Hessian for all samples: their mean",
        "likely",
        full(mean_output_hessian),
        Family(FISHERS, ENTRYWISE),
        sees=("T1", "T3", "T15", "T16", "T26-masked"),
    ),
    planted(
        "P36",
        "class axis and position axis exchanged",
        "likely: (N, C, T) reshaped to (N T, C)",
        full(axes_exchanged),
        Family(FISHERS, ENTRYWISE),
        sees=("T1", "T15", "T16", "T18"),
    ),
    planted(
        "P38",
        "p - p p' by subtraction, which loses confident outputs",
        "likely",
        full(cancelling),
        Family(FISHERS, ENTRYWISE),
        Declaration(claims=("C1",)),
        sees=("C1",),
    ),
    planted(
        "P41",
        "the softmax applied twice",
        "likely: a model that ends in a softmax",
        rooted(probabilities_as_logits),
        OF_FISHERS,
        Declaration(target="ggn"),
        sees=("T1", "T3", "T15", "T16", "T17"),
    ),
)
