"""What a structure keeps of a matrix, and should not, or should and does not."""

from dataclasses import replace

import torch
from torch import Tensor

from fishergauge.reference import block_slices
from fishergauge.suites.meta.bank.defect import ANY, NO_HESSIAN, Declaration, Defect, Family, NoSuchMistake, planted
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.structures import blocks_of, units
from fishergauge.suites.meta.bank.ways import changed
from fishergauge.suites.subject import Subject

DENSE = Family(ANY, ("dense",))
BLOCKS = Family(ANY, ("block-diagonal",))
DIAGONALS = Family(ANY, ("diagonal",))
QUASI = Family(ANY, ("quasi-diagonal",))
JOINT_BLOCKS = Declaration(structure="block-diagonal", bias="joint")
SEPARATE_BLOCKS = Declaration(structure="block-diagonal", bias="separate")
DIAGONAL = Declaration(structure="diagonal")
QUASI_DIAGONAL = Declaration(structure="quasi-diagonal")


def cross_block_lost(pieces: Pieces, subject: Subject) -> Tensor:
    """Weight and bias apart although declared joint."""
    if subject.bias == "separate":
        raise NoSuchMistake("they are declared to be apart")
    return blocks_of(pieces, pieces.dense(subject.target), joint=False)


def cross_block_kept(pieces: Pieces, subject: Subject) -> Tensor:
    """Weight and bias together although declared separate."""
    if subject.bias != "separate":
        raise NoSuchMistake("they are declared to be together")
    return blocks_of(pieces, pieces.dense(subject.target), joint=True)


def exact_blocks_of_kfac(pieces: Pieces, subject: Subject) -> Tensor:
    """K-FAC declared to be the exact blocks."""
    return pieces.right(replace(subject, structure="kronecker"))


def last_layer_only(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Zero but for the last layer."""
    *_, part = block_slices(pieces.problem, "layer").values()
    result = torch.zeros_like(matrix)
    result[part, part] = matrix[part, part]
    return result


def diagonal_of(pieces: Pieces, matrix: Tensor) -> Tensor:
    """The diagonal alone."""
    return matrix.diagonal().diag()


def layer_blocks_of(pieces: Pieces, matrix: Tensor) -> Tensor:
    """The blocks of layers alone."""
    return blocks_of(pieces, matrix, joint=True)


def row_sums(pieces: Pieces, subject: Subject) -> Tensor:
    """The product with a vector of ones."""
    return pieces.dense(subject.target).sum(1).diag()


def roots(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Square roots of the diagonal."""
    return matrix.diagonal().abs().sqrt().diag()


def absolute_gradients(pieces: Pieces, subject: Subject) -> Tensor:
    """|mean g| on the diagonal."""
    return (pieces.gradients.sum(0) / pieces.divisor).abs().diag()


def uncompensated(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Products with the bias lost."""
    return matrix.diagonal().diag()


def halves(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Products with the bias on one side only."""
    return matrix.triu()


def own_weight_products(pieces: Pieces, subject: Subject) -> Tensor:
    """The completion on the diagonal as well: F_ib^2 / F_bb for F_ii."""
    matrix = pieces.right(subject).clone()
    for bias, weights in units(pieces):
        if float(matrix[bias, bias]) > 0:
            matrix[weights, weights] = matrix[weights, bias].square() / matrix[bias, bias]
    return matrix


def wrong_unit(pieces: Pieces, subject: Subject) -> Tensor:
    """Products with the bias of the next unit."""
    full, found = pieces.dense(subject.target), units(pieces)
    if len(found) < 2:
        raise NoSuchMistake("there are no two units with biases")
    result = full.diagonal().diag()
    for (bias, weights), (other, _) in zip(found, found[1:] + found[:1], strict=True):
        result[weights, bias] = result[bias, weights] = full[weights, other]
    return result


def mean_of_layer(pieces: Pieces, matrix: Tensor) -> Tensor:
    """One value a layer: the mean of its diagonal."""
    diagonal = matrix.diagonal().clone()
    for part in block_slices(pieces.problem, "parameter").values():
        diagonal[part] = diagonal[part].mean()
    return diagonal.diag()


KEPT: tuple[Defect, ...] = (
    planted(
        "D47",
        "K-FAC declared exact, which it is at N = 1 only",
        "f-dangel/backpack#265",
        exact_blocks_of_kfac,
        Family(NO_HESSIAN, ("block-diagonal",)),
        JOINT_BLOCKS,
        sees=("T1", "T3", "T15", "T17", "T26-additive"),
    ),
    planted(
        "P160",
        "the block between weight and bias lost although declared joint",
        "likely",
        cross_block_lost,
        BLOCKS,
        JOINT_BLOCKS,
        sees=("T1", "T3", "T15", "T17"),
    ),
    planted(
        "P161",
        "weight and bias together although declared separate",
        "likely",
        cross_block_kept,
        BLOCKS,
        SEPARATE_BLOCKS,
        sees=("T1",),
    ),
    planted(
        "P162",
        "the last layer alone",
        "likely",
        changed(last_layer_only),
        Family(ANY, ("dense", "block-diagonal", "diagonal", "quasi-diagonal", "kronecker", "eigen-kronecker")),
        sees=("T1", "T3", "T15", "T18", "T19"),
    ),
    planted(
        "P163",
        "the diagonal sold as all of it",
        "likely",
        changed(diagonal_of),
        Family(ANY, ("dense", "block-diagonal", "kronecker", "eigen-kronecker")),
        sees=("T1", "T3", "T15", "T16", "T18"),
    ),
    planted(
        "P164",
        "the blocks of layers sold as all of it",
        "likely",
        changed(layer_blocks_of),
        DENSE,
        sees=("T1", "T15", "T16", "T18", "T19"),
    ),
    planted(
        "P165",
        "the sums of rows for the diagonal",
        "likely: a product with ones",
        row_sums,
        DIAGONALS,
        DIAGONAL,
        sees=("T1", "T3", "T14-scaling", "T15", "T26-psd"),
    ),
    planted(
        "P166",
        "square roots on the diagonal",
        "likely: Adam",
        changed(roots),
        DIAGONALS,
        DIAGONAL,
        sees=("T1", "T3", "T14-scaling", "T15", "T26-sum-over-mean"),
    ),
    planted(
        "P167",
        "absolute values of the mean gradient on the diagonal",
        "likely: synaptic intelligence mixed up",
        absolute_gradients,
        DIAGONALS,
        DIAGONAL,
        sees=("T1", "T2", "T3", "T14-scaling", "T15"),
    ),
    planted(
        "P168",
        "one value a parameter tensor: the mean of its diagonal",
        "likely",
        changed(mean_of_layer),
        DIAGONALS,
        DIAGONAL,
        sees=("T1", "T3", "T14-scaling", "T15", "T17"),
    ),
    planted(
        "P169", "the products with the bias lost", "likely", changed(uncompensated), QUASI, QUASI_DIAGONAL, sees=("T1", "T14")
    ),
    planted(
        "P170",
        "the products with the bias on one side only",
        "likely",
        changed(halves),
        QUASI,
        QUASI_DIAGONAL,
        sees=("T1", "T14", "T26-symmetric", "T26-units"),
    ),
    planted(
        "P171",
        "the completion on the diagonal too",
        "likely",
        own_weight_products,
        QUASI,
        QUASI_DIAGONAL,
        sees=("T1", "T3", "T17"),
    ),
    planted(
        "P172",
        "the products with the bias of the next unit",
        "likely",
        wrong_unit,
        QUASI,
        QUASI_DIAGONAL,
        sees=("T1", "T14", "T26-outputs", "T26-units"),
    ),
)
