"""What a zoo problem is built with: dtype, device, reduction and a source of randomness."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.seeding import generator

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class Setting:
    """Draws models and data of one zoo problem; the same setting gives the same problem.

    Numbers are drawn in float64 and rounded, so that the problem in float32 is the one in float64 up to
    rounding.

    Args:
        name: of the problem; seeds the draws.
        dtype: of parameters and data.
        device: of parameters and data.
        reduction: of the loss.
        seed: distinguishes repetitions.
    """

    name: str
    dtype: torch.dtype = torch.float64
    device: str = "cpu"
    reduction: Reduction = "mean"
    seed: int = 0
    source: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", generator("zoo", self.name, self.seed))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        draws = torch.randn(*shape, generator=self.source, dtype=torch.float64)
        return draws.to(device=self.device, dtype=self.dtype)

    def labels(self, classes: int, *shape: int) -> Tensor:
        """Class labels from 0 to ``classes`` - 1."""
        return torch.randint(classes, shape, generator=self.source).to(self.device)

    def binary(self, *shape: int) -> Tensor:
        """Labels 0 and 1 as floating-point numbers."""
        return torch.randint(2, shape, generator=self.source).to(device=self.device, dtype=self.dtype)

    def problem(
        self, model: Callable[[], nn.Module], loss: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], facts: Facts
    ) -> Problem:
        """Build the model, draw its parameters and join it with loss and data."""
        return self.join(self.module(model), loss, batches, facts)

    def module(self, model: Callable[[], nn.Module]) -> nn.Module:
        """Build a model in evaluation mode and draw its parameters."""
        with torch.random.fork_rng(devices=[]):  # modules initialise themselves from the global generator
            module = model()
        module = module.to(device=self.device, dtype=self.dtype).eval()
        with torch.no_grad():
            for parameter in module.parameters():
                fan_in = parameter[0].numel() if parameter.ndim > 1 else 4
                parameter.copy_(self.normal(*parameter.shape) / max(1, fan_in) ** 0.5)
        return module

    def join(self, module: nn.Module, loss: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], facts: Facts) -> Problem:
        """A problem of a model that has its parameters already."""
        return Problem(module, loss.to(device=self.device), batches, self.name, facts)
