"""The form in which results of one task are compared, whatever library they come from."""

from collections.abc import Iterable

import torch
from torch import Tensor


def factor_pairs(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    r"""Kronecker factors of the weights as one vector, free of what is convention.

    The scale can be moved between G and A, and a joint bias appends a row and a column to A. For each layer, in the order
    of the parameters, :math:`G \operatorname{tr}(A) / D` and then :math:`A / \operatorname{tr}(A)` are given, of which
    neither depends on the scale.

    Args:
        pairs: (G, A) of each weight, ``(D_out, D_out)`` and ``(D, D)``; of a joint bias without the last row and column.

    Returns:
        One vector.

    Example:
        >>> factor_pairs([(torch.ones(1, 1), 2 * torch.ones(1, 1))])
        tensor([2., 1.])
    """
    pieces = []
    for output_factor, input_factor in pairs:
        trace = input_factor.diagonal().sum()
        pieces += [(output_factor * (trace / len(input_factor))).reshape(-1), (input_factor / trace).reshape(-1)]
    return torch.cat(pieces)
