"""How many numbers an approximation holds."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import EigenKronecker, KroneckerFactored, LowRank
from fishergauge.reference.factored_blocks import FactoredBlocks
from fishergauge.reference.kfac import Kronecker
from fishergauge.reference.quasi_diagonal import Units


def stored_numbers(kept: Any) -> int | None:
    """The numbers that a matrix is kept as: entries of a tensor, of blocks, of factors. Where an entry stands is not counted.

    Args:
        kept: a tensor, tensors by name, or a structured matrix of the reference.

    Returns:
        A number; None for any other object, whose form does not tell.

    Example:
        >>> stored_numbers(torch.eye(3)), stored_numbers({"a": torch.eye(2), "b": torch.eye(1)}), stored_numbers(object())
        (9, 5, None)
    """
    if isinstance(kept, Tensor):
        return _entries(kept)
    if isinstance(kept, Mapping):
        found = [stored_numbers(part) for part in kept.values()]
        return None if None in found else sum(part for part in found if part is not None)
    if isinstance(kept, LowRank):
        return kept.values.numel() + kept.vectors.numel()
    if isinstance(kept, KroneckerFactored):
        return sum(block.input_factor.numel() + block.output_factor.numel() for block in kept.factors.values())
    if isinstance(kept, EigenKronecker):
        return sum(piece.outer.numel() + piece.inner.numel() + piece.values.numel() for piece in kept.eigen)
    if isinstance(kept, FactoredBlocks):
        return _of_pieces(kept)
    return None


def _of_pieces(kept: FactoredBlocks) -> int | None:
    count = 0
    for piece in kept.pieces:
        if isinstance(piece, Kronecker):
            count += piece.output_factor.numel() + piece.input_factor.numel()
        elif isinstance(piece, Units):
            crossed = piece.index.numel() - len(piece.index) if bool(piece.rank_one.any()) else 0  # weights by bias
            count += piece.index.numel() + crossed
        else:
            return None
    return count


def _entries(tensor: Tensor) -> int:
    """The entries that take memory: one for all that an expanded axis repeats, those that are not zero of a sparse tensor."""
    if tensor.layout == torch.sparse_coo:
        return tensor.coalesce().values().numel()
    if tensor.layout != torch.strided:
        return int(tensor.values().numel())
    return min(tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())
