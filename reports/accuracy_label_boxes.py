"""Where the labels of points stand, so that none covers another or a point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

DIRECTIONS = (0, 4, 1, 7, 3, 5, 2, 6)  # eighths of a turn from the right
RADII = (5.0, 10.0, 16.0, 24.0, 34.0, 46.0, 60.0)


@dataclass(frozen=True)
class Box:
    """A rectangle.

    Args:
        left: end; ``low``: end; ``right``: end; ``high``: end.
    """

    left: float
    low: float
    right: float
    high: float

    def meets(self, other: "Box") -> bool:
        """Whether the two have a point in common."""
        return self.left < other.right and other.left < self.right and self.low < other.high and other.low < self.high

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return (self.left + self.right) / 2, (self.low + self.high) / 2

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Its point that is nearest to another."""
        return min(max(x, self.left), self.right), min(max(y, self.low), self.high)

    def inside(self, other: "Box") -> bool:
        """Whether it lies in the other one."""
        return other.left <= self.left and self.right <= other.right and other.low <= self.low and self.high <= other.high


def around(x: float, y: float, half: float) -> Box:
    """A square with a point in its middle.

    Args:
        x: of the point; ``y``: of the point.
        half: of its side.
    """
    return Box(x - half, y - half, x + half, y + half)


def placed(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    taken: Sequence[Box],
    frame: Box,
    unit: float = 1.0,
    reach: Sequence[int] = (),
) -> list[Box | None]:
    """A place for the label of each point, in turn: the nearest that is free, to the right of it first.

    Args:
        points: where they are.
        sizes: widths and heights of the labels.
        taken: what must not be covered, the points themselves among it.
        frame: that must not be left.
        unit: of the distances that are tried.
        reach: how many of the distances are tried for each label; all by default.

    Returns:
        A box for each label; None where no place is free.

    Example:
        >>> first, second = placed([(0, 0), (0, 0)], [(9, 4), (9, 4)], [around(0, 0, 2)], Box(-50, -50, 50, 50))
        >>> first.meets(second)
        False
    """
    boxes: list[Box | None] = []
    covered = list(taken)
    for number, ((x, y), size) in enumerate(zip(points, sizes, strict=True)):
        radii = RADII[: reach[number]] if reach else RADII
        free = (box for box in _candidates(x, y, size, unit, radii) if box.inside(frame) and not any(map(box.meets, covered)))
        found = next(free, None)
        boxes.append(found)
        if found is not None:
            covered.append(found)
    return boxes


def _candidates(x: float, y: float, size: tuple[float, float], unit: float, radii: Sequence[float]) -> Iterator[Box]:
    wide, high = size
    for radius in radii:
        for eighth in DIRECTIONS:
            across, up = cos(eighth * pi / 4), sin(eighth * pi / 4)
            left = x + unit * radius * across + wide * (across - 1) / 2
            low = y + unit * radius * up + high * (up - 1) / 2
            yield Box(left, low, left + wide, low + high)
