"""Time as a gate: an old and a new version in turn on the same machine, each in processes of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fishergauge.reports.bench_tables import seconds
from fishergauge.suites.benchmarks.machine import differences
from fishergauge.suites.benchmarks.record import BenchRecord, Key
from fishergauge.suites.wording import number, plural, wrapped

Side = Literal["old", "new"]
FACTOR = 1.25
RUNS = 5


class InterleavedError(ValueError):
    """The versions cannot be timed in turn; the message names cause and remedy."""


def slower(old: Sequence[float], new: Sequence[float], factor: float = FACTOR) -> bool:
    r"""Whether a new version is slower beyond doubt: :math:`\min_i t_i^{new} > f \max_i t_i^{old}`.

    Args:
        old: seconds of the old version, one figure a run.
        new: seconds of the new one.
        factor: f.

    Example:
        >>> slower([1.0, 2.0], [2.4, 9.0]), slower([1.0, 2.0], [2.6, 9.0])
        (False, True)
    """
    return min(new) > factor * max(old)


def order(runs: int = RUNS) -> list[Side]:
    """Who runs when: each side as often, and neither always first.

    Args:
        runs: of each side.

    Example:
        >>> order(3)
        ['old', 'new', 'new', 'old', 'old', 'new']
    """
    return [side for run in range(runs) for side in ((("old", "new"), ("new", "old"))[run % 2])]


@dataclass(frozen=True)
class Verdict:
    """The times of a benchmark in both versions.

    Args:
        key: of the benchmark.
        old: median seconds of each run of the old version.
        new: of the new one.
        failed: what went wrong in the new version.
        note: why there is no comparison.
    """

    key: Key
    old: tuple[float, ...] = ()
    new: tuple[float, ...] = ()
    failed: str = ""
    note: str = ""

    @property
    def red(self) -> bool:
        """Whether the new version is slower beyond doubt, or fails where the old one does not."""
        return bool(self.failed) or (not self.note and slower(self.old, self.new))

    def __str__(self) -> str:
        if self.failed or self.note:
            return f"{self.key}: {self.failed or self.note}"
        ratio = min(self.new) / max(self.old)
        return f"{self.key}: old {_range(self.old)}, new {_range(self.new)}; fastest new / slowest old {number(ratio)}"


@dataclass(frozen=True)
class Interleaved:
    """The outcome of timing two versions in turn.

    Args:
        verdicts: by benchmark.
        notes: on circumstances that differ.
    """

    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def red(self) -> tuple[Verdict, ...]:
        """What is slower or fails."""
        return tuple(verdict for verdict in self.verdicts if verdict.red)

    @property
    def exit_code(self) -> int:
        """1 if something is red, 0 otherwise."""
        return int(bool(self.red))

    def text(self) -> str:
        """A line for each benchmark, the red ones first, and a summary."""
        lines = ["time, old and new in turn"]
        for verdict in sorted(self.verdicts, key=lambda verdict: not verdict.red):
            lines += wrapped(str(verdict), first="  red  " if verdict.red else " " * 7, rest=" " * 9)
        lines += [line for note in self.notes for line in wrapped(f"note: {note}", first="  ", rest="    ")]
        timed = sum(not (verdict.note or verdict.failed) for verdict in self.verdicts)
        lines.append(f"red: the fastest new run is slower than the slowest old one by {FACTOR:g}")
        result = f"{len(self.red)} red" if self.red else "nothing got slower"
        return "\n".join([*lines, f"timed {plural(timed, 'benchmark')} in both versions: {result}"])


def judged(old: Sequence[Sequence[BenchRecord]], new: Sequence[Sequence[BenchRecord]]) -> Interleaved:
    """The verdict on runs of two versions.

    Args:
        old: the records of each run of the old version.
        new: of the new one.

    Raises:
        InterleavedError: nothing could be timed in both.
    """
    keys = dict.fromkeys(record.key for run in new for record in run)
    verdicts = [
        _verdict(key, *([[one for one in run if one.key == key] for run in side] for side in (old, new))) for key in keys
    ]
    if not any(verdict.old and verdict.new for verdict in verdicts) and not any(verdict.failed for verdict in verdicts):
        why = verdicts[0].note if verdicts else "no records"
        raise InterleavedError(f"--old: nothing could be timed in both versions ({why}); choose other tasks or problems")
    firsts = [next(iter(run), None) for run in (old[0], new[0])]
    notes: list[str] = []
    if firsts[0] and firsts[1]:
        notes = [
            f"the versions run with different circumstances: {text}"
            for text in differences(firsts[0].machine, firsts[1].machine)
        ]
    return Interleaved(tuple(verdicts), tuple(notes))


def _verdict(key: Key, old: Sequence[Sequence[BenchRecord]], new: Sequence[Sequence[BenchRecord]]) -> Verdict:
    before, why_not = _times(old)
    after, failed = _times(new)
    if why_not:
        return Verdict(key, note=f"not timed in the old version: {why_not}")
    return Verdict(key, before, failed=f"not timed in the new version: {failed}") if failed else Verdict(key, before, after)


def _times(runs: Sequence[Sequence[BenchRecord]]) -> tuple[tuple[float, ...], str]:
    """The median of each run; or why one is missing."""
    times: list[float] = []
    for run in runs:
        if not run or not run[0].median_seconds:
            return (), (run[0].reason if run else "") or "no time"
        times.append(run[0].median_seconds)
    return tuple(times), ""


def _range(times: Sequence[float]) -> str:
    return f"{seconds(min(times))} to {seconds(max(times))}"
