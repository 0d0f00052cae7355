"""Matrices of the form J' B J: one class for the GGN, the Fisher and its estimates."""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from fishergauge.reference.curvature import Curvature, Per, block_slices, symmetrized
from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.gram import gram_matrix
from fishergauge.reference.jacobian import root_rows
from fishergauge.reference.layer_root import LayerRoots
from fishergauge.reference.layer_rows import layer_rows
from fishergauge.reference.layered import layered_blocks, layered_dense, layered_diagonal, layered_rows
from fishergauge.reference.linearization import Linearization, linearization_of
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

    @cached_property
    def _layered(self) -> LayerRoots | None:
        """The root at the layers; None where some parameter belongs to no plain layer."""
        try:
            return LayerRoots(self.problem, self.terms, self.root)
        except UnsupportedError:
            return None

    def rows(self) -> Iterator[Tensor]:
        """The rows ``b' J / sqrt(M)``, in chunks ``(n, P)``; the matrix is the sum of their products."""
        if self._layered is None:
            yield from self._rows_by_samples()
            return
        for layers in self._layered:
            yield from layer_rows(layers, self.shape[0])

    def stacked_rows(self) -> Tensor:
        """All rows at once, ``(K R, P)``: :meth:`rows` without their concatenation."""
        return torch.cat(list(self.rows())) if self._layered is None else layered_rows(self._layered)

    def dense(self) -> Tensor:
        if self._layered is not None:
            return layered_dense(self._layered)
        return gram_matrix(self._rows_by_samples(), self.terms.outputs.new_empty(self.shape))

    def diagonal(self) -> Tensor:
        if self._layered is not None:
            return layered_diagonal(self._layered)
        diagonal = self.terms.outputs.new_zeros(self.shape[0])
        for rows in self._rows_by_samples():
            diagonal += rows.square_().sum(0)
        return diagonal

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        slices = block_slices(self.problem, per)
        if self._layered is not None:
            return layered_blocks(self._layered, per)
        sizes = {name: part.stop - part.start for name, part in slices.items()}
        blocks = {name: self.terms.outputs.new_zeros(size, size) for name, size in sizes.items()}
        for rows in self._rows_by_samples():
            for name, part in slices.items():
                torch.addmm(blocks[name], rows[:, part].T, rows[:, part], out=blocks[name])
        return {name: symmetrized(block) for name, block in blocks.items()}

    def _rows_by_samples(self) -> Iterator[Tensor]:
        """The rows of any model, sample by sample through ``torch.func``."""
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

    @cached_property
    def _linearization(self) -> Linearization:
        """The derivatives of the outputs, kept from the first product on."""
        return linearization_of(self.problem, self.terms)

    def _products(self, vectors: Tensor) -> Tensor:
        pushed = self._linearization.push(vectors)
        weighed = torch.einsum("krc,bkr->bkc", self.root, torch.einsum("krd,bkd->bkr", self.root, pushed))
        return self._linearization.pull(weighed / self.terms.divisor)
