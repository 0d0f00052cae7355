"""Running averages of the Fisher over minibatches."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from fishergauge.reference.errors import ProblemError

Start = Literal["zero", "first", "mean"]


@dataclass(frozen=True)
class GradualFisher:
    r"""The running average :math:`F_t = \beta F_{t-1} + (1 - \beta) \hat F_t`, as a value: an update makes a new one.

    After t updates estimate i has the weight :math:`(1 - \beta) \beta^{t-i}`; how the sum, :math:`1 - \beta^t`, becomes one
    is the start:

    - ``"zero"``: :math:`F_0 = 0`, and the average is divided by :math:`1 - \beta^t`;
    - ``"first"``: :math:`F_0 = \hat F_1`, so that the first estimate has :math:`\beta^{t-1}` in all: most of it for long;
    - ``"mean"``: :math:`\beta_t = \min(1 - 1/t, \beta)`, the plain mean until the window is full.

    Args:
        decay: beta, in [0, 1).
        start: one of the three.
        updates: t.
        sum: F_t before the correction, ``(P, P)``; None before the first update.

    Raises:
        ProblemError: beta is not in [0, 1), or the start is none of the three.

    Example:
        >>> import torch
        >>> average = GradualFisher(0.5).updated(torch.eye(1)).updated(4 * torch.eye(1))
        >>> average.matrix, round(average.effective_samples, 6)
        (tensor([[3.]]), 1.8)

    Reference:
        Martens and Grosse, ICML 2015, sec. 5 ("mean"); Kingma and Ba, "Adam", ICLR 2015, sec. 3 ("zero").
    """

    decay: float
    start: Start = "zero"
    updates: int = 0
    sum: Tensor | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ProblemError(f"the decay of a running average lies in [0, 1), got {self.decay}")
        if self.start not in ("zero", "first", "mean"):
            raise ProblemError(f"a running average starts from 'zero', 'first' or 'mean', not {self.start!r}")

    def updated(self, estimate: Tensor) -> "GradualFisher":
        """The average with one more estimate, ``(P, P)``."""
        if self.sum is not None and estimate.shape != self.sum.shape:
            raise ProblemError(f"the average is of shape {tuple(self.sum.shape)}, the estimate {tuple(estimate.shape)}")
        decay = min(1 - 1 / (self.updates + 1), self.decay) if self.start == "mean" else self.decay
        if self.sum is None:
            total = estimate if self.start == "first" else (1 - decay) * estimate
        else:
            total = decay * self.sum + (1 - decay) * estimate
        return GradualFisher(self.decay, self.start, self.updates + 1, total)

    @property
    def matrix(self) -> Tensor:
        """The average, with weights that sum to one: ``(P, P)``."""
        if self.sum is None:
            raise ProblemError("nothing has been averaged yet; call updated(estimate) first")
        return self.sum / (1 - self.decay**self.updates) if self.start == "zero" else self.sum

    @property
    def weights(self) -> tuple[float, ...]:
        """How the estimates count in :attr:`matrix`, the oldest first; they sum to one."""
        weights: list[float] = []
        for t in range(1, self.updates + 1):
            decay = min(1 - 1 / t, self.decay) if self.start == "mean" else self.decay
            fresh = 1.0 if self.start == "first" and t == 1 else 1 - decay
            weights = [decay * weight for weight in weights] + [fresh]
        return tuple(weight / sum(weights) for weight in weights)

    @property
    def effective_samples(self) -> float:
        r"""The number of independent estimates whose plain mean has the same variance, :math:`1 / \sum_i w_i^2`.

        From zero it is :math:`\frac{1+\beta}{1-\beta} \frac{1-\beta^t}{1+\beta^t}`, and never above
        :math:`(1 + \beta) / (1 - \beta)`; zero before the first update.
        """
        return 1 / sum(weight**2 for weight in self.weights) if self.updates else 0.0
