"""Matrices of the form J' B J: one class for the GGN, the Fisher and its estimates."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fishergauge.reference.curvature import Curvature, Per, block_slices, symmetrized
from fishergauge.reference.jacobian import pull_back, push_forward, root_rows
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import Terms


class GaussNewton(Curvature):
    r"""The matrix :math:`\frac{1}{M} \sum_k \sum_r (b_{kr}' J_k)' (b_{kr}' J_k)`.

    What the vectors b are decides which quantity it is: a square root of the output Hessian gives the
    GGN, gradients at enumerated labels the Fisher, at sampled labels its Monte-Carlo estimate, at the
    observed labels the empirical Fisher.

    Args:
        problem: K terms of C outputs, P parameters.
        terms: the evaluated terms of the problem.
        root: the vectors b, ``(K, R, C)``.
    """

    def __init__(self, problem: Problem, terms: Terms, root: Tensor) -> None:
        super().__init__(problem)
        self.terms = terms
        self.root = root

    def rows(self) -> Iterator[Tensor]:
        """The rows ``b' J / sqrt(M)``, in chunks ``(n, P)``; the matrix is the sum of their products."""
        outputs = self.terms.by_sample
        positions, width = outputs.shape[1:]
        scale = self.terms.divisor.rsqrt()
        if self.root.shape[1] <= width:
            root = self.root.reshape(len(outputs), positions, -1, width)
            for rows in root_rows(self.problem, outputs, root):
                yield scale * rows
            return
        # more vectors than outputs: fewer passes through the model by way of the whole Jacobian
        identity = torch.eye(width, dtype=outputs.dtype, device=outputs.device)
        first = 0
        for rows in root_rows(self.problem, outputs, identity.expand(*outputs.shape, width)):
            jacobian = rows.reshape(-1, width, self.shape[0])
            part = slice(first, first + len(jacobian))
            first = part.stop
            yield scale * (self.root[part] @ jacobian).flatten(0, 1)

    def dense(self) -> Tensor:
        matrix = self.terms.outputs.new_zeros(self.shape)
        for rows in self.rows():
            torch.addmm(matrix, rows.T, rows, out=matrix)  # addmm_ escapes torch's FLOP counter
        return symmetrized(matrix)

    def diagonal(self) -> Tensor:
        diagonal = self.terms.outputs.new_zeros(self.shape[0])
        for rows in self.rows():
            diagonal += rows.square_().sum(0)
        return diagonal

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        slices = block_slices(self.problem, per)
        sizes = {name: part.stop - part.start for name, part in slices.items()}
        blocks = {name: self.terms.outputs.new_zeros(size, size) for name, size in sizes.items()}
        for rows in self.rows():
            for name, part in slices.items():
                torch.addmm(blocks[name], rows[:, part].T, rows[:, part], out=blocks[name])
        return {name: symmetrized(block) for name, block in blocks.items()}

    def _products(self, vectors: Tensor) -> Tensor:
        pushed = push_forward(self.problem, self.terms.by_sample, vectors)
        weighed = torch.einsum("krc,krd,bkd->bkc", self.root, self.root, pushed)
        return pull_back(self.problem, weighed) / self.terms.divisor
