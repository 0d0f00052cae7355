"""The terms of a problem's objective, evaluated at its current parameters."""

from dataclasses import dataclass

from torch import Tensor

from fishergauge.reference.problem import Problem


@dataclass(frozen=True)
class Terms:
    """Outputs and labels of the K terms of an objective, in the order of the samples.

    Args:
        outputs: ``(K, C)``.
        labels: ``(K,)`` or ``(K, C)``.
        per_sample: T, the number of terms of one sample; K = N T.
        divisor: M, what the reduction divides by; a scalar.
    """

    outputs: Tensor
    labels: Tensor
    per_sample: int
    divisor: Tensor

    @property
    def by_sample(self) -> Tensor:
        """The outputs sample by sample, ``(N, T, C)``."""
        return self.outputs.reshape(-1, self.per_sample, self.outputs.shape[-1])


def terms_of(problem: Problem) -> Terms:
    """Evaluate the model once and split its outputs into terms."""
    outputs, targets = problem.outputs, problem.targets
    split = problem.likelihood.split(outputs)
    divisor = problem.likelihood.divisor(outputs, targets)
    return Terms(split.flatten(0, 1), problem.likelihood.labels(targets), split.shape[1], divisor)
