"""A linear combination of curvature matrices of one parameter vector."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fishergauge.reference.curvature import Curvature, Per
from fishergauge.reference.errors import ProblemError


class LinearCombination(Curvature):
    r"""The matrix :math:`\sum_i w_i F_i`, formed only as far as it is asked for.

    Args:
        curvatures: the F_i, of equally many parameters; the first one's problem names them.
        weights: the w_i, of any sign.

    Raises:
        ProblemError: there is nothing to combine, numbers or shapes differ, or a weight is NaN or infinite.

    Example:
        >>> from fishergauge.reference import Problem, ggn
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> LinearCombination([ggn(problem), ggn(problem)], [1.0, -0.5]).dense()
        tensor([[1.0000, 1.0000],
                [1.0000, 1.0000]])
    """

    def __init__(self, curvatures: Sequence[Curvature], weights: Sequence[float]) -> None:
        if not curvatures or len(curvatures) != len(weights):
            raise ProblemError(f"{len(curvatures)} matrices and {len(weights)} weights make no combination")
        if not all(math.isfinite(weight) for weight in weights):
            raise ProblemError(f"weights must be finite, got {list(weights)}")
        if len({tuple(curvature.shape) for curvature in curvatures}) > 1:
            raise ProblemError("the matrices have different shapes: they are of different parameters")
        super().__init__(curvatures[0].problem)
        self.curvatures, self.weights = tuple(curvatures), tuple(float(weight) for weight in weights)

    def dense(self) -> Tensor:
        return self._combined(lambda curvature: curvature.dense())

    def diagonal(self) -> Tensor:
        return self._combined(lambda curvature: curvature.diagonal())

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        parts = [curvature.blocks(per) for curvature in self.curvatures]
        return {name: self._sum([part[name] for part in parts]) for name in parts[0]}

    def _products(self, vectors: Tensor) -> Tensor:
        return self._combined(lambda curvature: (curvature @ vectors.T).T)

    def _combined(self, form: Callable[[Curvature], Tensor]) -> Tensor:
        return self._sum([form(curvature) for curvature in self.curvatures])

    def _sum(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.stack([weight * part for weight, part in zip(self.weights, parts, strict=True)]).sum(0)
