r"""Whether a run of the benchmarks may replace an earlier one: cost that repeats exactly is judged, time is not."""

import math
from collections.abc import Iterable, Mapping, Sequence

from fishergauge.suites.benchmarks.gate_report import KINDS, Change, GateReport
from fishergauge.suites.benchmarks.machine import differences
from fishergauge.suites.benchmarks.record import BenchRecord, Key
from fishergauge.suites.wording import number, plural, some

COUNTED: Mapping[str, str] = {"flops": "FLOPs", "forward_passes": "forward passes", "backward_passes": "backward passes"}
MEMORY = 1.05
NOTED = 1.25  # ratio of times from which on a note is worth a line

REMEDY = "measure the baseline on this machine, or compare FLOPs and passes alone (--counted-only)"


class GateError(ValueError):
    """Two runs cannot be compared; the message names cause and remedy."""


def measured(record: BenchRecord) -> bool:
    """Whether anything was measured, the verification included.

    Example:
        >>> measured(BenchRecord("mine", "ggn", "dense", "mlp-small", "float64", "cuda", reason="not measured: no device"))
        False
    """
    figures = ("flops", "forward_passes", "backward_passes", "peak_bytes", "median_seconds")
    return record.verified is not None or any(_figure(record, name) is not None for name in figures)


def compare(old: Iterable[BenchRecord], new: Iterable[BenchRecord], *, counted_only: bool = False) -> GateReport:
    r"""Compare a run of the benchmarks with an earlier one.

    Red are:

    - FLOPs, forward or backward passes that increased, by however little, as they repeat exactly. Where torch differs, which
      may count FLOPs otherwise, or for the code of others its packages, they are reported and not red;
    - memory :math:`b_1 > 1.05\, b_0`;
    - a benchmark that vanished, or of which a figure is no longer measured;
    - a result that is wrong, or that was verified and is not compared any more.

    Time is never red here; where it differs by more than 1.25 there is a note.

    Args:
        old: the baseline; of a run with a selection, leave out what was not selected.
        new: the run to be judged.
        counted_only: compare across machines: FLOPs and passes, memory if torch has the same build, never time.

    Raises:
        GateError: the runs are of different machines, have no benchmark in common, or one has a benchmark twice.

    Example:
        >>> machine = {"cpu": "x", "gpu": "", "threads": 1, "torch": "2"}
        >>> before = BenchRecord("mine", "ggn", "dense", "mlp-small", "float64", "cpu", flops=100, machine=machine)
        >>> after = BenchRecord("mine", "ggn", "dense", "mlp-small", "float64", "cpu", flops=200, machine=machine)
        >>> print(compare([before], [after]).text().splitlines()[1])
          red  mine ggn/dense on mlp-small (float64, cpu): FLOPs 100 -> 200, 2 times
    """
    before, after = require_distinct(old, "baseline"), require_distinct(new, "new run")
    pairs = [(before[key], record) for key, record in after.items() if key in before]
    if not pairs:
        raise GateError(
            f"nothing in common: no benchmark of the baseline ({_about(before)}) stands in the new run ({_about(after)}); "
            "compare runs of the same problems, dtype and device"
        )
    if not counted_only:
        for one, other in pairs:
            require_same_machine(one, other.machine)
    changes = [change for pair in pairs for change in _changes(*pair, counted_only)]
    changes += [_vanished(one) for key, one in before.items() if key not in after]
    changes += [
        Change("new", key, f"its result is wrong: {_why(one)}" if one.red else "no baseline", one.red)
        for key, one in after.items()
        if key not in before
    ]
    changes += _notes(pairs, counted_only)
    return GateReport(tuple(sorted(changes, key=lambda change: KINDS.index(change.kind))), len(pairs))


def require_distinct(records: Iterable[BenchRecord], what: str) -> dict[Key, BenchRecord]:
    """The records of a run by what they are compared by.

    Args:
        records: of one run.
        what: its name in the message.

    Raises:
        GateError: it has a benchmark twice.
    """
    found: dict[Key, BenchRecord] = {}
    for record in records:
        if record.key in found:
            raise GateError(f"the {what} has {record.key} twice; give the file of one run, not of several")
        found[record.key] = record
    return found


def require_same_machine(old: BenchRecord, here: Mapping[str, object]) -> None:
    """Refuse a comparison across machines.

    Args:
        old: of the baseline.
        here: the machine of the new run.

    Raises:
        GateError: they differ in CPU or GPU model, threads or torch build, or one is not recorded; the message names both.
    """
    if not old.machine or not here:
        which = "baseline" if not old.machine else "new run"
        raise GateError(f"the {which} does not say on which machine it was made ({old.key}); {REMEDY}")
    if found := differences(old.machine, here):
        raise GateError(
            f"the baseline is of another machine ({'; '.join(found)}): baseline {_identity(old.machine)}; "
            f"here {_identity(here)}; {REMEDY}"
        )


def _identity(machine: Mapping[str, object]) -> str:
    names = ("cpu", "gpu", "threads", "torch", "cuda")
    return ", ".join(f"{name} {machine[name]}" for name in names if machine.get(name) not in (None, ""))


def _changes(old: BenchRecord, new: BenchRecord, counted_only: bool) -> list[Change]:
    found = [_result(old, new), _gone(old, new), _come(old, new)]
    found += [_counted(old, new, name) for name in COUNTED]
    if not counted_only or _same_build(old, new):
        found.append(_memory(old, new))
    if not counted_only:
        found.append(_time(old, new))
    return [change for change in found if change is not None]


def _result(old: BenchRecord, new: BenchRecord) -> Change | None:
    """What became of the verification."""
    if new.red:
        return Change("wrong", new.key, f"{'still wrong' if old.red else _was(old)}: {_why(new)}", True)
    if old.verified and new.verified is None:
        return Change("wrong", new.key, f"was verified, is not compared any more{_because(new)}", True)
    return Change("improvement", new.key, "was wrong, is not any more") if old.red else None


def _vanished(old: BenchRecord) -> Change:
    if measured(old):
        return Change("vanished", old.key, "was measured, is gone", True)
    return Change("note", old.key, f"is gone; it had not been measured{_because(old)}")


def _gone(old: BenchRecord, new: BenchRecord) -> Change | None:
    """Figures that were measured and are not any more."""
    names = {**COUNTED, "peak_bytes": "memory"}
    lost = [title for name, title in names.items() if _figure(old, name) is not None and _figure(new, name) is None]
    if not lost:
        return None
    what = (
        "no figures any more" if all(_figure(new, name) is None for name in names) else f"no longer measured: {', '.join(lost)}"
    )
    return Change("vanished", new.key, what + _because(new), True)


def _come(old: BenchRecord, new: BenchRecord) -> Change | None:
    """Figures that were not measured and are now: nothing judges them yet."""
    names = {**COUNTED, "peak_bytes": "memory"}
    found = [title for name, title in names.items() if _figure(old, name) is None and _figure(new, name) is not None]
    return Change("new", new.key, f"no baseline: {', '.join(found)}") if found else None


def _counted(old: BenchRecord, new: BenchRecord, name: str) -> Change | None:
    a, b = _figure(old, name), _figure(new, name)
    if a is None or b is None or a == b:
        return None
    text = f"{COUNTED[name]} {a:.0f} -> {b:.0f}{_times(a, b)}"
    if excuse := _excuse(old, new, name):
        return Change("note", new.key, f"{text}; {excuse}")
    return Change("cost", new.key, text, True) if b > a else Change("improvement", new.key, text)


def _excuse(old: BenchRecord, new: BenchRecord, name: str) -> str:
    """Why a count may differ without the code of this package or of a subject having changed, or nothing."""
    changed = {package: text for package, text in _changed_versions(old, new).items() if package != "fishergauge"}
    if name == "flops" and "torch" in changed:
        return f"torch differs ({changed['torch']}) and may count otherwise"
    if changed and new.kind in ("backpack", "peer"):
        return f"its packages differ ({', '.join(f'{package} {text}' for package, text in changed.items())})"
    return ""


def _memory(old: BenchRecord, new: BenchRecord) -> Change | None:
    a, b = _figure(old, "peak_bytes"), _figure(new, "peak_bytes")
    if a is None or b is None:
        return None
    text = f"peak {number(a / 1e6)} MB -> {number(b / 1e6)} MB{_times(a, b)}"
    if b > MEMORY * a:
        return Change("memory", new.key, f"{text}, above {MEMORY:g}", True)
    return Change("improvement", new.key, text) if a > MEMORY * b else None


def _time(old: BenchRecord, new: BenchRecord) -> Change | None:
    a, b = _figure(old, "median_seconds"), _figure(new, "median_seconds")
    if not a or not b or 1 / NOTED <= b / a <= NOTED:
        return None
    return Change("note", new.key, f"time {number(a)} s -> {number(b)} s{_times(a, b)}, not judged")


def _notes(pairs: Sequence[tuple[BenchRecord, BenchRecord]], counted_only: bool) -> list[Change]:
    """Circumstances that differ between the runs."""
    changed = dict.fromkeys(item for pair in pairs for item in _changed_versions(*pair).items())
    notes = [Change("note", None, f"the version of {package} differs: {text}") for package, text in sorted(changed)]
    if counted_only:
        skipped = sum(not _same_build(*pair) for pair in pairs)
        text = f"; memory is not compared in {plural(skipped, 'benchmark')}, as torch has another build" if skipped else ""
        notes.append(Change("note", None, f"counted cost alone: machines may differ{text}"))
    return notes


def _changed_versions(old: BenchRecord, new: BenchRecord) -> dict[str, str]:
    """The packages whose versions differ, and how."""
    a, b = old.versions, new.versions
    return {
        name: f"{a.get(name) or 'not recorded'} -> {b.get(name) or 'not recorded'}"
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    }


def _same_build(old: BenchRecord, new: BenchRecord) -> bool:
    return bool(old.machine.get("torch")) and all(old.machine.get(key) == new.machine.get(key) for key in ("torch", "cuda"))


def _figure(record: BenchRecord, name: str) -> float | None:
    """A figure of a record, None where it is missing or not finite."""
    value: float | None = getattr(record, name)
    return value if value is not None and math.isfinite(value) else None


def _times(old: float, new: float) -> str:
    return f", {number(new / old, 4)} times" if old else ""


def _was(old: BenchRecord) -> str:
    return "was verified, is wrong" if old.verified else "is wrong"


def _why(record: BenchRecord) -> str:
    parts = [record.reason] if record.reason else []
    if record.deviation is not None:
        parts.append(f"deviation {number(record.deviation)}, bound {number(record.bound)}")
    return "; ".join(parts) or "no reason recorded"


def _because(record: BenchRecord) -> str:
    return f": {record.reason}" if record.reason else ""


def _about(records: Mapping[Key, BenchRecord]) -> str:
    """Which dtypes and devices a run has."""
    return some([f"{key.problem} in {key.dtype} on {key.device}" for key in records], 3) or "no records"
