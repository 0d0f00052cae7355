"""The exponent of a power law."""

import math
import statistics
from collections.abc import Iterable


def power_law_exponent(x: Iterable[float], y: Iterable[float]) -> float:
    r"""The exponent p of :math:`y = c x^p`: the slope of log y against log x, by least squares.

    Args:
        x: positive, not all equal; numbers or a tensor.
        y: as many; positive.

    Returns:
        p; NaN where there are fewer than two points, or some number is not positive.

    Example:
        >>> round(power_law_exponent([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    pairs = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    if len(pairs) < 2 or not all(a > 0 and b > 0 for a, b in pairs):
        return math.nan
    return statistics.linear_regression([math.log(a) for a, _ in pairs], [math.log(b) for _, b in pairs]).slope
