"""One difference between two reports, and what a comparison of one part found."""

from dataclasses import dataclass

from fishergauge.suites.baseline import KINDS, Kind

__all__ = ["KINDS", "Change", "Circumstances", "Found", "Kind"]


@dataclass(frozen=True)
class Change:
    """One difference between two reports.

    Args:
        part: name of the part in which it is; empty for the report as a whole.
        kind: one of :data:`fishergauge.suites.baseline.KINDS`.
        what: changed, for people.
        text: how, old -> new.
        red: whether it fails the comparison.
        anchor: of the place on the new page that shows it, or empty.
        counted: whether the new report counts it as red by itself, as it does with a check that is violated now.
        subject: to which it belongs, or empty.
    """

    part: str
    kind: Kind
    what: str
    text: str
    red: bool = False
    anchor: str = ""
    counted: bool = False
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.text}" if self.what else self.text


@dataclass(frozen=True)
class Circumstances:
    """What two reports have in common, so that a difference means something.

    Args:
        same: whether both were asked for the same, so that what is absent now has vanished.
        same_seed: whether data and draws are the same.
        same_torch: whether torch is the same, which counts operations and rounds.
        common: whether to compare only the checks that stand in both, such as those of a quick and of a full run.
    """

    same: bool = True
    same_seed: bool = True
    same_torch: bool = True
    common: bool = False


@dataclass(frozen=True)
class Found:
    """What a comparison of one part found.

    Args:
        changes: in the order of the part.
        compared: how many things stand in both.
        what: is compared, as a noun in the singular.
    """

    changes: tuple[Change, ...] = ()
    compared: int = 0
    what: str = ""
