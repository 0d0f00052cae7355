"""A full matrix cut down to the structure that a subject declares."""

from torch import Tensor

from fishergauge.reference import block_slices
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.subject import Subject


def structured(pieces: Pieces, subject: Subject) -> Tensor:
    """The right matrix of a declaration."""
    if subject.structure in ("kronecker", "eigen-kronecker"):
        from fishergauge.suites.meta.bank.factored import right_factored

        return right_factored(pieces, subject)
    return cut(pieces, pieces.dense(subject.target), subject)


def cut(pieces: Pieces, matrix: Tensor, subject: Subject) -> Tensor:
    """What the declared structure keeps of a full matrix ``(P, P)``."""
    if subject.structure == "diagonal":
        return matrix.diagonal().diag()
    if subject.structure == "quasi-diagonal":
        return quasi_diagonal(pieces, matrix)
    if subject.structure == "block-diagonal":
        return blocks_of(pieces, matrix, joint=subject.bias != "separate")
    return matrix


def blocks_of(pieces: Pieces, matrix: Tensor, joint: bool) -> Tensor:
    """The diagonal blocks, a layer or a parameter each, and zeros."""
    result = matrix.new_zeros(matrix.shape)
    for part in block_slices(pieces.problem, "layer" if joint else "parameter").values():
        result[part, part] = matrix[part, part]
    return result


def units(pieces: Pieces) -> list[tuple[int, Tensor]]:
    """For each unit with a bias: the place of its bias and those of its weights."""
    places, found = pieces.places(), []
    for name, bias in places.items():
        weight = places.get(name.removesuffix("bias") + "weight")
        if not name.endswith("bias") or weight is None or weight.ndim < 2 or len(weight) != len(bias):
            continue
        found += [(int(b), w.reshape(-1)) for b, w in zip(bias, weight, strict=True)]
    return found


def quasi_diagonal(pieces: Pieces, matrix: Tensor) -> Tensor:
    """The diagonal, the products of each weight with the bias of its unit, and the completion between the weights.

    Entries between two weights of a unit are ``F_ib F_bj / F_bb``, which is what makes the inverse quasi-diagonal.
    """
    result = matrix.diagonal().diag()
    for bias, weights in units(pieces):
        column = matrix[weights, bias]
        if float(matrix[bias, bias]) > 0:
            between = column[:, None] * column / matrix[bias, bias]
            between.diagonal().copy_(matrix[weights, weights])
            result[weights[:, None], weights] = between
        result[weights, bias] = result[bias, weights] = column
    return result
