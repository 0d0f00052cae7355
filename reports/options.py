"""What a reproduction is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from fishergauge.reports.targets import TARGETS


class OptionError(ValueError):
    """An option that cannot be honoured; the message names cause and remedy."""


@dataclass(frozen=True)
class Options:
    """What a reproduction is asked to do.

    Args:
        experiments: names of :mod:`fishergauge.reports.experiments`, in order.
        data: names of data sets, in order; for the experiments that do not bring their own.
        seeds: how many seeds, 0 to ``seeds - 1``; None stands for the published number of each experiment.
        quick: a few seconds instead of minutes: fewer seeds and coarser grids.
        device: ``"cpu"`` or ``"cuda"``.
        out: folder of the results; finished cells in it are kept and used.
        jobs: how many processes compute at the same time.

    Raises:
        OptionError: ``seeds`` or ``jobs`` is below one, or nothing is asked for.

    Example:
        >>> Options(experiments=("e4",), data=("synthetic",)).seed_count(3)
        3
    """

    experiments: tuple[str, ...] = tuple(TARGETS)
    data: tuple[str, ...] = ("synthetic", "digits")
    seeds: int | None = None
    quick: bool = False
    device: str = "cpu"
    out: Path = Path("out")
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise OptionError(f"--seeds must be at least 1, not {self.seeds}; leave it out for the published number")
        if self.jobs < 1:
            raise OptionError(f"--jobs must be at least 1, not {self.jobs}; leave it out for one process a core")
        if not self.experiments or not self.data:
            raise OptionError("nothing to do: name at least one experiment and one data set")

    def seed_count(self, published: int, quick: int = 1) -> int:
        """How many seeds an experiment runs: what was asked for, else the published or the quick number."""
        if self.seeds is not None:
            return self.seeds
        return min(published, quick) if self.quick else published
