"""Eigenvalue-corrected Kronecker factorisation (EKFAC) from exact factors and exact eigenvalues."""

import math

import torch
from torch import Tensor

from fishergauge.reference.factored_blocks import Block, FactoredBlocks, grouped, kept, parameter_index
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import (
    BiasMode,
    KfacTarget,
    KroneckerBlock,
    SharingMode,
    block_inputs,
    evaluated_once,
    kronecker_blocks,
    require,
)
from fishergauge.reference.problem import Problem


def eigen_kfac(
    problem: Problem,
    target: KfacTarget = "fisher",
    bias: BiasMode = "joint",
    sharing: SharingMode = "expand",
    root_of: GaussNewton | None = None,
) -> "EigenKronecker":
    r"""The best diagonal in the eigenbasis of K-FAC, for each layer.

    .. math::
        (U_G \otimes U_A) \operatorname{diag}(s) (U_G \otimes U_A)', \qquad
        s_{ij} = \frac{1}{M} \sum_k \mathrm E\Big[\Big(u_i' \sum_t g_{kt} a_{kt}' v_j\Big)^2\Big]

    with the eigenvectors u of G and v of A; each s is the product of the exact block with an eigenvector from
    both sides, so that the trace is that of the exact block.

    Args:
        problem: as for :func:`kfac`.
        target: the matrix whose blocks are approximated.
        bias: ``"joint"``: a block a layer; ``"separate"``: a block a parameter.
        sharing: which factors give the eigenbasis; the eigenvalues are exact in either.
        root_of: as for :func:`kfac`.

    Returns:
        An operator of shape (P, P); positive semi-definite, zero between blocks.

    Raises:
        UndefinedError: as :func:`kfac`.
        UnsupportedError: as :func:`kfac`.
        ProblemError: as :func:`kfac`.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> eigen_kfac(problem).trace().round(decimals=4)
        tensor(4.)

    Reference:
        George et al., "Fast approximate natural gradient descent in a Kronecker-factored eigenbasis", NeurIPS 2018,
        eq. 5 and proposition 1.
    """
    require(bias, ("joint", "separate"), "bias")
    require(sharing, ("expand", "reduce"), "sharing")
    matrix, statistics = evaluated_once(problem, target, root_of)
    # with one term a sample, all gradients are held at once anyway: they serve for the factors too
    pulled = list(statistics.gradients(matrix.root)) if matrix.terms.per_sample == 1 else None
    factors = kronecker_blocks(matrix, statistics, bias, sharing, pulled)
    index = parameter_index(problem)
    pieces: list[Eigen] = []
    vectors: dict[str, list[tuple[Eigen, Tensor]]] = {}
    for name, block in factors.items():
        layer = statistics.layers[name]
        outer, vectors[name] = torch.linalg.eigh(block.output_factor)[1], []
        for names in grouped(block.weight, block.bias, block.joint):
            inner, inputs = _input_basis(block, names, block_inputs(layer, block.joint))
            piece = Eigen(torch.cat([index[parameter] for parameter in names], 1), outer, inner)
            pieces.append(piece)
            vectors[name].append((piece, inputs @ inner))
    for gradients in statistics.gradients(matrix.root) if pulled is None else pulled:
        for name, g in gradients.items():
            for piece, inputs in vectors[name]:
                piece.add(g, inputs)
    for piece in pieces:
        piece.values /= matrix.terms.divisor
    return EigenKronecker(problem, pieces)


def _input_basis(block: KroneckerBlock, names: list[str], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors of A and the inputs that belong to a group of parameters: a lone bias has the input one."""
    if names == [block.bias]:
        return inputs.new_ones(1, 1), torch.ones_like(inputs[..., :1])
    return torch.linalg.eigh(block.input_factor)[1], inputs


class Eigen(Block):
    """A block that is diagonal in a Kronecker-factored basis.

    Args:
        index: where its entries stand in the parameter vector, ``(D_out, D_in)``.
        outer: U, orthogonal, ``(D_out, D_out)``.
        inner: V, orthogonal, ``(D_in, D_in)``.
    """

    def __init__(self, index: Tensor, outer: Tensor, inner: Tensor) -> None:
        super().__init__(index)
        self.outer = outer.contiguous()
        self.inner = inner.contiguous()
        self.values = outer.new_zeros(index.shape)

    def add(self, gradients: Tensor, inputs: Tensor) -> None:
        """Add to the eigenvalues what gradients ``(R, N, T, D_out)`` at rotated inputs ``(N, T, D_in)`` contribute."""
        if inputs.shape[1] == 1:  # the square of a product is the product of the squares
            squares = (gradients.flatten(0, 2) @ self.outer).square_().view(len(gradients), len(inputs), -1).sum(0)
            self.values += squares.T @ inputs[:, 0].square()
            return
        for g in gradients:
            self.values += torch.einsum("nto,nti->noi", g @ self.outer, inputs).square().sum(0)

    def dense(self) -> Tensor:
        # sum_a (u_a u_a') kron (V diag(s_a) V'): a factor of D_in below the product of two whole bases
        within = (self.inner * self.values[:, None]) @ self.inner.mT
        outer, inner = within.shape[:2]
        pairs = (self.outer[:, None] * self.outer).flatten(0, 1)
        dense = (pairs @ within.flatten(1)).view(outer, outer, inner, inner).transpose(1, 2)
        return dense.reshape(outer * inner, -1)

    def diagonal(self) -> Tensor:
        return self.outer.square() @ self.values @ self.inner.square().mT

    def product(self, matrices: Tensor) -> Tensor:
        return self._scaled(matrices, self.values)

    def solve(self, matrix: Tensor, damping: float) -> Tensor:
        """The damped inverse, or the pseudo-inverse at zero damping, applied to a matrix of parameters."""
        if damping > 0:
            return self._scaled(matrix, 1 / (self.values + damping))
        inside = kept(self.values.flatten()).view_as(self.values)
        return self._scaled(matrix, 1 / self.values.masked_fill(~inside, math.inf))

    def _scaled(self, matrices: Tensor, values: Tensor) -> Tensor:
        return self.outer @ (self.outer.mT @ matrices @ self.inner * values) @ self.inner.mT


class EigenKronecker(FactoredBlocks):
    """See :func:`eigen_kfac`."""

    def __init__(self, problem: Problem, pieces: list[Eigen]) -> None:
        super().__init__(problem, pieces)
        self.eigen = tuple(pieces)

    def solve(self, vector: Tensor, damping: float = 0.0) -> Tensor:
        """(E + lambda I)^-1 v, exact in the eigenbasis; the pseudo-inverse at zero damping.

        Args:
            vector: ``(P,)``.
            damping: lambda, not negative.

        Returns:
            ``(P,)``.

        Raises:
            ProblemError: the damping is negative, or the vector has another shape.
        """
        return self._by_piece(vector, damping, lambda piece, part: piece.solve(part, damping))
