"""Likelihoods whose losses compare outputs and targets of the same shape, element by element."""

from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.likelihood import Likelihood


class ElementwiseLikelihood(Likelihood):
    """A term is the vector along the last axis; further axes are positions and count as samples.

    Outputs with the sample axis alone, ``(N,)``, are N terms of width one.
    """

    def split(self, outputs: Tensor) -> Tensor:
        width = outputs.shape[-1] if outputs.ndim > 1 else 1
        return outputs.reshape(len(outputs), -1, width)

    def labels(self, targets: Tensor) -> Tensor:
        return self.split(targets).flatten(0, 1)

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        name = type(self.loss).__name__
        if outputs.shape != targets.shape:
            raise ProblemError(
                f"{name} compares outputs {tuple(outputs.shape)} with targets {tuple(targets.shape)}, which torch would "
                "broadcast silently; give targets the shape of the outputs"
            )
        if outputs.dtype != targets.dtype:
            raise ProblemError(f"{name}: targets are {targets.dtype}, outputs {outputs.dtype}; convert the targets")

    def divisor(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.new_tensor(float(outputs.numel()) if self.reduction == "mean" else 1.0)
