"""Where a product deviates: the parameter with the largest deviation, and the ratio there."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fishergauge.suites.comparison import ratio_of


def located(actual: Tensor, expected: Tensor, slices: Mapping[str, slice]) -> str:
    """The parameter in whose rows two products differ most, and by what.

    Args:
        actual: ``(P,)`` or ``(P, K)``.
        expected: of the same shape.
        slices: where each parameter, or layer, lies.

    Returns:
        Name and ratio to what is expected, as a fraction where all entries have one; else the entry that is off most.

    Example:
        >>> slices = {"weight": slice(0, 2), "bias": slice(2, 3)}
        >>> located(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([2.0, 4.0, 1.0]), slices)
        'weight: ratio to the expected block 0.5 = 1/2 in every entry'
    """
    name = farthest(actual, expected, slices)
    part = slices[name]
    return f"{name or 'the model'}: {ratio_of(actual[part].double(), expected[part].double())}"


def farthest(actual: Tensor, expected: Tensor, slices: Mapping[str, slice]) -> str:
    """The name of the part in which two products differ most."""
    norms = {
        name: float(torch.linalg.vector_norm(actual[part] - expected[part], dtype=torch.float64))
        for name, part in slices.items()
    }
    return max(norms, key=lambda name: norms[name])
