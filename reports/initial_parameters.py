"""The initial parameters of the notebooks' model."""

import math

import torch
from torch import Tensor, nn


def initial_parameters(seed: int, num_features: int, num_classes: int, device: str = "cpu") -> Tensor:
    """The weight of a new ``nn.Linear`` without bias in float64 after ``torch.manual_seed(seed)``.

    Drawn on the CPU by a local generator: the same numbers, and no global random state is touched.

    Args:
        seed: of the generator.
        num_features: D.
        num_classes: C.
        device: where the result lives.

    Returns:
        ``(C, D)``, float64.

    Example:
        >>> initial_parameters(0, 16, 10).shape
        torch.Size([10, 16])
    """
    weight = torch.empty(num_classes, num_features, dtype=torch.float64)
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=torch.Generator().manual_seed(seed))
    return weight.to(device)
