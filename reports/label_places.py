"""Heights of labels in a column, so that none covers another."""

from collections.abc import Sequence


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    r"""Heights that are at least ``gap`` apart and as near to the wanted ones as they can be, in the least-squares sense.

    Labels keep their order. With :math:`u_i = y_i - i\,g` the constraint :math:`y_{i+1} - y_i \ge g` says that u does not
    decrease, and the nearest such u are means of pools of neighbours. Where the column is too short the gap shrinks.

    Args:
        wanted: a height for each label, in any order.
        gap: between two labels.
        low: the lower end of the column.
        high: its upper end.

    Returns:
        A height for each label, in the order of ``wanted``.

    Example:
        >>> spread([0.5, 0.5, 0.9], 0.2, 0.0, 1.0)
        [0.4, 0.6, 0.9]

    Reference:
        Barlow et al., "Statistical inference under order restrictions" (1972), sec. 1.2: pool adjacent violators.
    """
    if not wanted:
        return []
    count = len(wanted)
    gap = min(gap, (high - low) / max(1, count - 1))
    order = sorted(range(count), key=lambda i: wanted[i])
    pools: list[list[float]] = []  # of shifted heights, each pool at its mean
    for rank, i in enumerate(order):
        pools.append([wanted[i] - rank * gap])
        while len(pools) > 1 and _mean(pools[-2]) >= _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    shifted = [_mean(pool) for pool in pools for _ in pool]
    top = high - (count - 1) * gap
    heights = [0.0] * count
    for rank, i in enumerate(order):
        heights[i] = round(min(max(shifted[rank], low), top) + rank * gap, 12)
    return heights


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
