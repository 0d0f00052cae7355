"""The cells of ``fishergauge reproduce`` as cells of a sweep."""

import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.sweep.cell import Setting, SweepCell

TIMED = frozenset({"baseline", "timed"})
"""Cells of these protocols measure time and need their device for themselves."""
FUNCTION = "fishergauge.reports.sweep.cells_of_reproduce:record_of"
OWN = ("experiment", "protocol", "data", "seed", "device")
"""What a cell of an experiment has beside its settings."""
TAKEN = (*OWN, "function", "label", "alone", "group")
"""Names that no setting of an experiment can have."""


def sweep_cell(cell: Cell, device: str) -> SweepCell:
    """What is sent to the process that computes a cell.

    Args:
        cell: of an experiment.
        device: on which it is computed.

    Raises:
        ValueError: a setting of the cell has the name of something else.

    Example:
        >>> sweep_cell(Cell("e4", "timed", "synthetic", 0), "cpu").alone
        'cpu'
    """
    if taken := [name for name, _ in cell.settings if name in TAKEN]:
        raise ValueError(
            f"{cell.label}: a setting cannot be called {taken[0]!r}; every cell has something of that name; choose another one"
        )
    own: tuple[Setting, ...] = (cell.experiment, cell.protocol, cell.data, cell.seed, device)
    settings: tuple[tuple[str, Setting], ...] = (*zip(OWN, own, strict=True), *cell.settings)
    alone = torch.device(device).type if cell.protocol in TIMED else ""
    return SweepCell(FUNCTION, tuple(sorted(settings)), cell.label, alone)


def record_of(experiment: str, protocol: str, data: str, seed: int, device: str, **settings: int | float | str) -> Record:
    """Compute a cell of an experiment, in whichever process this is.

    Args:
        experiment: its name.
        protocol: of the cell.
        data: of the cell.
        seed: of the cell.
        device: on which it is computed.
        settings: of the cell.
    """
    from fishergauge.reports.experiments import EXPERIMENTS

    return EXPERIMENTS[experiment].run(Cell(experiment, protocol, data, seed, tuple(settings.items())), device)
