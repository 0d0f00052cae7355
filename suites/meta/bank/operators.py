"""Operators whose products, diagonal, trace or adjoint are inconsistent."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from fishergauge.reference import Problem, ggn
from fishergauge.suites.meta.bank.defect import ANY, Declaration, Defect, Family, planted, unmatched
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import changed

GGN = Declaration(target="ggn")
DENSE = Family(ANY, ("dense",))
Product = Callable[[Tensor, Tensor], Tensor]


class Operator:
    """The GGN as an operator, with wrong products."""

    def __init__(self, problem: Problem, product: Product) -> None:
        self.matrix = ggn(problem).dense()
        self.shape = self.matrix.shape
        self.product = product

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return self.product(self.matrix, vectors)


class Described(Operator):
    """Right products, and diagonal, trace and log-determinant beside them, one of which may be off."""

    def __init__(self, problem: Problem, off: str = "", factor: float = 1.01) -> None:
        super().__init__(problem, torch.matmul)
        self.off, self.factor = off, factor

    def diagonal(self) -> Tensor:
        """The diagonal."""
        return self.matrix.diagonal() * self._factor("diagonal")

    def trace(self) -> Tensor:
        """The trace."""
        return self.matrix.trace() * self._factor("trace")

    def _factor(self, what: str) -> float:
        return self.factor if self.off == what else 1.0


class Solving(Operator):
    """Right products and a ``solve`` that forgets the damping."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, torch.matmul)

    def solve(self, vector: Tensor, damping: float = 0.0) -> Tensor:
        """Undamped, whatever is asked."""
        solution: Tensor = torch.linalg.pinv(self.matrix, hermitian=True) @ vector
        return solution


def multiplying(product: Product) -> Callable[[], Callable[[Problem], Operator]]:
    """Operators with that product."""
    return lambda: lambda problem: Operator(problem, product)


def offset(matrix: Tensor, vectors: Tensor) -> Tensor:
    """A(0) is not 0."""
    return matrix @ vectors + 1e-3 * matrix.abs().max()


def normalised(matrix: Tensor, vectors: Tensor) -> Tensor:
    """The product with the vector scaled to length one."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=0, keepdim=vectors.ndim > 1)
    return matrix @ (vectors / lengths.clamp(min=1e-12))


def lopsided(matrix: Tensor, vectors: Tensor) -> Tensor:
    """One triangle a per cent larger."""
    return (matrix + 0.01 * matrix.triu(1)) @ vectors


def absolute(matrix: Tensor, vectors: Tensor) -> Tensor:
    """The product with |v|."""
    return matrix @ vectors.abs()


def single_precision(matrix: Tensor, vectors: Tensor) -> Tensor:
    """The product in float32."""
    return (matrix.float() @ vectors.float()).to(matrix.dtype)


def differenced(matrix: Tensor, vectors: Tensor) -> Tensor:
    """A finite difference: right to five digits."""
    return matrix @ vectors + 1e-5 * vectors.square() * matrix.abs().max()


def overwriting(matrix: Tensor, vectors: Tensor) -> Tensor:
    """The result written into the vector."""
    return vectors.copy_(matrix @ vectors)


def remembering() -> Callable[[Problem], Operator]:
    """The product with the first vector, for all later ones of that shape."""

    def build(problem: Problem) -> Operator:
        kept: dict[tuple[int, ...], Tensor] = {}

        def product(matrix: Tensor, vectors: Tensor) -> Tensor:
            return kept.setdefault(tuple(vectors.shape), matrix @ vectors)

        return Operator(problem, product)

    return build


class FirstColumn(Operator):
    """Of several vectors, the first one for all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, lambda m, v: m @ v if v.ndim == 1 else (m @ v[:, :1]).expand_as(v))


def wrong_adjoint() -> Callable[[Problem], Any]:
    """A scipy operator whose adjoint is another matrix, and which is not symmetric."""

    def build(problem: Problem) -> Any:
        matrix: Any = ggn(problem).dense().numpy()
        lower = np.tril(matrix) + 1.01 * np.triu(matrix, 1)
        return LinearOperator(matrix.shape, matvec=lambda v: lower @ v, rmatvec=lambda v: lower @ v, dtype=matrix.dtype)

    return build


def unnormalised_diagonal(problem: Problem) -> Described:
    """The diagonal without the division by M."""
    return Described(problem, "diagonal", Pieces(problem).divisor)


OPERATORS: tuple[Defect, ...] = (
    unmatched(
        "D17",
        "one representation normalised, the others not",
        "kazukiosawa/asdl 77dc587",
        lambda: unnormalised_diagonal,
        GGN,
        sees=("T26-representations",),
    ),
    planted(
        "D45",
        "an accumulator started from other than zero: A(0) is not 0",
        "amirgholami/PyHessian 0f7e0f6",
        changed(lambda p, m: m + 1e-3 * m.abs().max()),
        DENSE,
        GGN,
        make_build=multiplying(offset),
        sees=("T1", "T3", "T15", "T18", "T26-linear"),
    ),
    unmatched(
        "P190",
        "the adjoint is another matrix",
        "likely",
        wrong_adjoint,
        GGN,
        sees=("T1", "T15", "T18", "T26-linear", "T26-symmetric"),
    ),
    unmatched(
        "P191",
        "the first product returned for all vectors",
        "likely: a cache without a key",
        remembering,
        GGN,
        sees=("T26-linear",),
    ),
    planted(
        "P192",
        "of several vectors the first one for all",
        "likely: a loop that reads column 0",
        changed(lambda p, m: m[:, :1].expand_as(m)),
        DENSE,
        GGN,
        make_build=lambda: FirstColumn,
        sees=("T1", "T15", "T26-linear", "T26-psd", "T26-symmetric"),
    ),
    unmatched("P193", "the vector scaled to length one first", "likely", multiplying(normalised), GGN, sees=("T26-linear",)),
    planted(
        "P194",
        "one triangle a per cent larger",
        "likely",
        changed(lambda p, m: m + 0.01 * m.triu(1)),
        DENSE,
        GGN,
        make_build=multiplying(lopsided),
        sees=("T1", "T15", "T18", "T26-linear", "T26-symmetric"),
    ),
    unmatched("P195", "the product with absolute values", "likely", multiplying(absolute), GGN, sees=("T26-linear",)),
    unmatched(
        "P196",
        "products in float32",
        "likely",
        multiplying(single_precision),
        GGN,
        sees=("T1", "T18", "T26-linear", "T26-psd", "T26-sum-over-mean"),
    ),
    unmatched(
        "P197",
        "products by finite differences",
        "likely",
        multiplying(differenced),
        GGN,
        sees=("T1", "T3", "T15", "T18", "T26-linear"),
    ),
    unmatched(
        "P198",
        "the product written into the vector",
        "likely",
        multiplying(overwriting),
        GGN,
    ),
    unmatched(
        "P199",
        "diagonal() off by a per cent",
        "likely",
        lambda: lambda p: Described(p, "diagonal"),
        GGN,
        sees=("T26-representations",),
    ),
    unmatched(
        "P200",
        "trace() off by a per cent",
        "likely",
        lambda: lambda p: Described(p, "trace"),
        GGN,
        sees=("T26-representations",),
    ),
    unmatched(
        "P201",
        "solve() forgets the damping",
        "likely",
        lambda: Solving,
        GGN,
    ),
)
