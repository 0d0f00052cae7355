"""The cells that wait for a process: those of one group together, those that were begun before behind the others."""

from collections import deque
from collections.abc import Iterable

from fishergauge.reports.sweep.cell import SweepCell


class Waiting:
    """The cells to be begun.

    Args:
        cells: in the order in which they are begun, as far as the groups allow.

    Example:
        >>> from fishergauge.reports.sweep.cell import make_cell
        >>> waiting = Waiting([make_cell("json:dumps", group=group, obj=1) for group in ("a", "b", "a")])
        >>> waiting.next("b").group, waiting.next("b").group, len(waiting)
        ('b', 'a', 1)
    """

    def __init__(self, cells: Iterable[SweepCell]) -> None:
        self._groups: dict[str, deque[SweepCell]] = {}
        for cell in cells:
            self.add(cell)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def add(self, cell: SweepCell) -> None:
        """Put a cell last of its group."""
        self._groups.setdefault(cell.group, deque()).append(cell)

    def next(self, group: str) -> SweepCell:
        """Take a cell, of this group while there is one, then of the group with the most.

        Raises:
            IndexError: no cell waits.
        """
        own = self._groups.get(group)
        queue = own if own else max(self._groups.values(), key=len)
        return queue.popleft()
