"""A block-diagonal matrix whose blocks act on the rows and columns of weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference.curvature import Curvature, Per, block_slices, symmetrized
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.problem import Problem

ROUNDING = 16  # eigenvalues below so many units of round-off, times the size, times the largest are zero


class Block(ABC):
    """A diagonal block over the entries of a matrix ``(D_out, D_in)`` of parameters, flattened row-major.

    Args:
        index: where the entries stand in the parameter vector, ``(D_out, D_in)``.
    """

    def __init__(self, index: Tensor) -> None:
        self.index = index

    @abstractmethod
    def dense(self) -> Tensor:
        """The block, ``(D_out D_in, D_out D_in)``."""

    @abstractmethod
    def diagonal(self) -> Tensor:
        """Its diagonal, ``(D_out, D_in)``."""

    @abstractmethod
    def product(self, matrices: Tensor) -> Tensor:
        """Its products with matrices of parameters, ``(B, D_out, D_in)``."""


class FactoredBlocks(Curvature):
    """A matrix of blocks that touch disjoint parameters; zero elsewhere.

    Args:
        problem: the problem.
        pieces: the blocks, which together hold every parameter once; gone through when they are first needed.
    """

    def __init__(self, problem: Problem, pieces: Iterable[Block]) -> None:
        super().__init__(problem)
        self._pieces = pieces

    @cached_property
    def pieces(self) -> tuple[Block, ...]:
        """The blocks."""
        return tuple(self._pieces)

    def dense(self) -> Tensor:
        matrix = self.problem.vector.new_zeros(self.shape)
        for piece in self.pieces:
            index = piece.index.flatten()
            matrix[index[:, None], index] = symmetrized(piece.dense())
        return matrix

    def diagonal(self) -> Tensor:
        diagonal = self.problem.vector.new_zeros(self.shape[0])
        for piece in self.pieces:
            diagonal[piece.index] = piece.diagonal()
        return diagonal

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        blocks = {}
        for name, part in block_slices(self.problem, per).items():
            block = self.problem.vector.new_zeros(2 * (part.stop - part.start,))
            for piece in self.pieces:
                index = piece.index.flatten()
                inside = (index >= part.start) & (index < part.stop)
                if bool(inside.any()):
                    place = index[inside] - part.start
                    block[place[:, None], place] = symmetrized(piece.dense())[inside][:, inside]
            blocks[name] = block
        return blocks

    def _products(self, vectors: Tensor) -> Tensor:
        result = torch.zeros_like(vectors)
        for piece in self.pieces:
            result[:, piece.index] = piece.product(vectors[:, piece.index])
        return result

    def _by_piece(self, vector: Tensor, damping: float, solved: Callable[[Any, Tensor], Tensor]) -> Tensor:
        """The solution put together from those of the blocks, each from its part of the vector, after :meth:`_checked`."""
        self._checked(vector, damping)
        result = torch.zeros_like(vector)
        for piece in self.pieces:
            result[piece.index] = solved(piece, vector[piece.index])
        return result

    def _checked(self, vector: Tensor, damping: float) -> None:
        """Refuse a right-hand side or a damping that makes no sense."""
        if vector.shape != (self.shape[0],):
            raise ProblemError(f"expected a vector of shape ({self.shape[0]},), got {tuple(vector.shape)}")
        if not damping >= 0:
            raise ProblemError(f"damping must not be negative, got {damping}")


def parameter_index(problem: Problem) -> dict[str, Tensor]:
    """Where each parameter stands in the parameter vector: by name ``(D_out, D_in)``, a bias as one column."""
    places = torch.arange(problem.num_parameters, device=problem.device)
    pieces = torch.split(places, [p.numel() for p in problem.parameters.values()])
    return {name: piece.view(len(p), -1) for (name, p), piece in zip(problem.parameters.items(), pieces, strict=True)}


def grouped(weight: str | None, bias: str | None, joint: bool) -> list[list[str]]:
    """The parameters of a layer that share a block: weight and bias together, or one by one."""
    names = [name for name in (weight, bias) if name is not None]
    return [names] if joint else [[name] for name in names]


def kept(values: Tensor) -> Tensor:
    """Which eigenvalues are distinguishable from zero."""
    return values > ROUNDING * len(values) * torch.finfo(values.dtype).eps * values.max().clamp(min=0)
