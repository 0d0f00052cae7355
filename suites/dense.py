"""A curvature matrix given by its dense form."""

from torch import Tensor

from fishergauge.reference import Curvature, Problem, block_slices
from fishergauge.reference.curvature import Per


class Dense(Curvature):
    """All operations of :class:`~fishergauge.reference.Curvature` from one dense matrix."""

    def __init__(self, problem: Problem, matrix: Tensor) -> None:
        super().__init__(problem)
        self.matrix = matrix

    def dense(self) -> Tensor:
        return self.matrix

    def diagonal(self) -> Tensor:
        return self.matrix.diagonal()

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        return {name: self.matrix[part, part] for name, part in block_slices(self.problem, per).items()}

    def _products(self, vectors: Tensor) -> Tensor:
        return vectors @ self.matrix.T
