"""How a cost grows with the number of parameters: the exponent of a power law where it is positive."""

from collections.abc import Sequence

from fishergauge.suites.power_law import power_law_exponent


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    r"""The slope of log cost against log size, by least squares; NaN where fewer than two costs are positive.

    Args:
        sizes: positive.
        costs: those that are zero are left out.

    Example:
        >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    positive = [(size, cost) for size, cost in zip(sizes, costs, strict=True) if cost > 0]
    return power_law_exponent([size for size, _ in positive], [cost for _, cost in positive])
