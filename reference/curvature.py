"""A curvature matrix as an operator: dense, in blocks, its diagonal, or only its products."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.problem import Problem

Per = Literal["layer", "parameter"]


class Curvature(ABC):
    """A symmetric ``(P, P)`` matrix of a problem that is formed only as far as it is asked for.

    Args:
        problem: whose parameters, flattened row-major in the order of ``named_parameters``, index it.

    Example:
        >>> import torch
        >>> from fishergauge.reference import ggn
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> ggn(problem) @ torch.ones(2)
        tensor([4.0000, 4.0000])
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.problem.num_parameters, self.problem.num_parameters

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """The product with a vector ``(P,)`` or with several ``(P, B)``, without the matrix."""
        if vectors.ndim not in (1, 2) or len(vectors) != self.shape[0]:
            raise ProblemError(f"expected ({self.shape[0]},) or ({self.shape[0]}, B), got {tuple(vectors.shape)}")
        if vectors.ndim == 1:
            return self._products(vectors[None])[0]
        return self._products(vectors.T).T

    @abstractmethod
    def _products(self, vectors: Tensor) -> Tensor:
        """The products with the rows of ``(B, P)``, as rows."""

    @abstractmethod
    def dense(self) -> Tensor:
        """The matrix, ``(P, P)``, exactly symmetric."""

    @abstractmethod
    def diagonal(self) -> Tensor:
        """The diagonal, ``(P,)``, without the matrix."""

    @abstractmethod
    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        """The diagonal blocks by name, without the other blocks; see :func:`block_slices`."""

    def trace(self) -> Tensor:
        """The trace, a scalar."""
        return self.diagonal().sum()

    def block_diagonal(self, per: Per = "layer") -> Tensor:
        """The matrix with everything outside its diagonal blocks set to zero: ``(P, P)``."""
        blocks = self.blocks(per)
        matrix = next(iter(blocks.values())).new_zeros(self.shape)
        for name, part in block_slices(self.problem, per).items():
            matrix[part, part] = blocks[name]
        return matrix


def block_slices(problem: Problem, per: Per = "layer") -> dict[str, slice]:
    """Where the diagonal blocks lie in the parameter vector.

    A layer is the module that owns the parameters directly: weight and bias of one ``Linear`` form one
    block. Parameters of one layer are neighbours in the order of ``named_parameters``.

    Args:
        problem: the problem.
        per: ``"layer"`` or ``"parameter"``.

    Returns:
        A slice of the parameter vector for each layer or parameter, in order.

    Raises:
        ProblemError: ``per`` is something else.
    """
    if per not in ("layer", "parameter"):
        raise ProblemError(f"blocks come per 'layer' or per 'parameter', not per {per!r}")
    slices: dict[str, slice] = {}
    start = 0
    for name, parameter in problem.parameters.items():
        key = name if per == "parameter" else name.rpartition(".")[0]
        first = slices[key].start if key in slices else start
        start += parameter.numel()
        slices[key] = slice(first, start)
    return slices


def symmetrized(matrix: Tensor) -> Tensor:
    """(A + A') / 2, so that rounding leaves no asymmetry."""
    return (matrix + matrix.mT) / 2
