"""How a share of a bound may grow from one report to the next."""

from fishergauge.suites.baseline import FLOOR
from fishergauge.suites.wording import number

DRIFT = 10.0


def drift_of(old: float | None, new: float | None) -> str:
    """Say that a slack grew by more than :data:`DRIFT` above the floor.

    Args:
        old: the earlier slack, None where there is none.
        new: the later one.

    Returns:
        How, for people; empty where it did not.

    Example:
        >>> drift_of(0.001, 0.2)
        'slack 0.001 -> 0.2 of the bound, above 10 times max(before, 1/64)'
        >>> drift_of(0.1, 0.9), drift_of(None, 0.9)
        ('', '')
    """
    if old is None or new is None or not new > DRIFT * max(old, FLOOR):
        return ""
    return f"slack {number(old, 2)} -> {number(new, 2)} of the bound, above {DRIFT:g} times max(before, 1/64)"
