"""The outcome of comparing two runs of the benchmarks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from fishergauge.suites.benchmarks.record import Key
from fishergauge.suites.wording import plural, wrapped

Kind = Literal["wrong", "vanished", "cost", "memory", "new", "improvement", "note"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TITLES: Mapping[Kind, str] = {
    "wrong": "wrong results",
    "vanished": "vanished benchmarks",
    "cost": "higher counted cost",
    "memory": "more memory",
    "new": "new benchmarks",
    "improvement": "improvements; measure the baseline anew to keep them",
    "note": "notes",
}
TIME = "time is not judged from a file, as load and clock rates differ: --old PYTHON measures both versions in turn"


@dataclass(frozen=True)
class Change:
    """One difference between two runs.

    Args:
        kind: one of :data:`KINDS`.
        key: of the benchmark; None for what concerns the whole run.
        text: what differs.
        red: whether it fails the gate.
    """

    kind: Kind
    key: Key | None
    text: str
    red: bool = False

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


@dataclass(frozen=True)
class GateReport:
    """The differences between two runs.

    Args:
        changes: by kind, then in the order of the records.
        compared: the number of benchmarks that stand in both.
    """

    changes: tuple[Change, ...]
    compared: int

    @property
    def red(self) -> tuple[Change, ...]:
        """The changes that fail the gate."""
        return tuple(change for change in self.changes if change.red)

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there are of each kind, all kinds named."""
        counted = Counter(change.kind for change in self.changes)
        return {kind: counted[kind] for kind in KINDS}

    @property
    def exit_code(self) -> int:
        """1 if a change is red, 0 otherwise."""
        return int(bool(self.red))

    def text(self) -> str:
        """The changes grouped by kind, and a summary line."""
        lines: list[str] = []
        for kind in KINDS:
            group = [change for change in self.changes if change.kind == kind]
            if group:
                lines.append(f"{TITLES[kind]} ({len(group)})")
                for change in group:
                    lines += wrapped(str(change), first="  red  " if change.red else " " * 7, rest=" " * 9)
        lines.append(TIME)
        found = ", ".join(f"{kind} {count}" for kind, count in self.counts.items() if kind != "note" and count)
        result = f"{len(self.red)} red" if self.red else "nothing got worse"
        lines.append(f"compared {plural(self.compared, 'benchmark')}: {found or 'no change'}; {result}")
        return "\n".join(lines)
