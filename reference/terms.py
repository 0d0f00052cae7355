"""The terms of a problem's objective, evaluated at its current parameters."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from fishergauge.reference.problem import Problem

if TYPE_CHECKING:
    from fishergauge.reference.linearization import Linearization


@dataclass(frozen=True)
class Terms:
    """Outputs and labels of the K terms of an objective, in the order of the samples.

    Args:
        outputs: ``(K, C)``.
        labels: ``(K,)`` or ``(K, C)``.
        per_sample: T, the number of terms of one sample; K = N T.
        divisor: M, what the reduction divides by; a scalar.
        linearization: the derivatives of the outputs, where they were kept with them.
    """

    outputs: Tensor
    labels: Tensor
    per_sample: int
    divisor: Tensor
    linearization: "Linearization | None" = field(default=None, repr=False)

    @property
    def by_sample(self) -> Tensor:
        """The outputs sample by sample, ``(N, T, C)``."""
        return self.outputs.reshape(-1, self.per_sample, self.outputs.shape[-1])


def terms_of(problem: Problem, outputs: Tensor | None = None) -> Terms:
    """Split the outputs of the model into terms.

    Args:
        problem: the problem.
        outputs: of the model for all inputs, ``(N, ...)``; evaluated here by default.
    """
    outputs = problem.outputs if outputs is None else outputs.detach()
    split = problem.likelihood.split(outputs)
    divisor = problem.likelihood.divisor(outputs, problem.targets)
    return Terms(split.flatten(0, 1), problem.likelihood.labels(problem.targets), split.shape[1], divisor)
