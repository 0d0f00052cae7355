"""Which way to the blocks of a layered matrix is cheaper: products of rows, or sums of Kronecker products."""

from collections.abc import Sequence

from fishergauge.reference.gram import gram_flops
from fishergauge.reference.layer_pairs import pair_flops
from fishergauge.reference.layer_root import Shape


def pairs_are_cheaper(shapes: Sequence[Shape]) -> bool:
    """Whether the blocks of all pairs of layers cost less as sums of Kronecker products than by products of rows.

    Only layers that are used at one position of a sample have such sums.

    Args:
        shapes: of the root at each layer.

    Returns:
        True for :func:`write_pair`, False for :func:`layer_rows` and :func:`gram_matrix`.

    Example:
        >>> one_vector, ten = Shape(100, 1, 1, 3000, 1), Shape(100, 10, 1, 300, 10)
        >>> pairs_are_cheaper([one_vector]), pairs_are_cheaper([ten])
        (False, True)
    """
    return all(shape.positions == 1 for shape in shapes) and flops_by_pairs(shapes) < flops_by_rows(shapes)


def flops_by_pairs(shapes: Sequence[Shape]) -> int:
    r"""Floating-point operations by pairs of layers, the products of inputs included.

    About :math:`N (P^2 - \tfrac12 \sum_l P_l^2)`, whatever the number R of vectors.
    """
    total = 0
    for place, first in enumerate(shapes):
        total += pair_flops(first) + first.samples * first.inputs * (first.inputs + 1) // 2
        for second in shapes[place + 1 :]:
            total += pair_flops(first, second) + first.samples * first.inputs * second.inputs
    return total


def flops_by_rows(shapes: Sequence[Shape]) -> int:
    r"""Floating-point operations by rows, their making included: about :math:`N R P^2`."""
    rows = shapes[0].samples * shapes[0].vectors
    made = sum((2 * shape.positions - 1) * shape.size for shape in shapes)
    return rows * made + gram_flops(rows, sum(shape.size for shape in shapes))
