"""Two runs compared: what got worse, what vanished, what drifts, what costs more."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from fishergauge.suites.record import Key, Record

Kind = Literal["regression", "vanished", "drift", "cost", "new", "improvement", "changed", "note"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TITLES: Mapping[Kind, str] = {
    "regression": "regressions",
    "vanished": "vanished checks",
    "drift": "drift towards the bound",
    "cost": "higher cost",
    "new": "new checks",
    "improvement": "improvements",
    "changed": "other changes of verdict",
    "note": "notes",
}
SEVERITY = {"holds": 0, "not-claimed": 1, "unsupported": 1, "expected": 1, "unexpected": 2, "violated": 3, "error": 4}
FLOOR = 1 / 64


class BaselineError(ValueError):
    """Two runs cannot be compared; the message names cause and remedy."""


@dataclass(frozen=True)
class Change:
    """One difference between two runs.

    Args:
        kind: one of :data:`KINDS`.
        check: which check or cost, for people.
        text: what differs.
        red: whether it fails the comparison.
    """

    kind: Kind
    check: str
    text: str
    red: bool = False

    def __str__(self) -> str:
        return f"{self.check}: {self.text}" if self.check else self.text


@dataclass(frozen=True)
class Comparison:
    """The differences between two runs.

    Args:
        changes: by kind, then in the order of the records.
        compared: the number of checks that stand in both.
        still_red: how many of these were red before and are red for the same reason.
    """

    changes: tuple[Change, ...]
    compared: int
    still_red: int = 0

    @property
    def red(self) -> tuple[Change, ...]:
        """The changes that fail the comparison."""
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
                lines += [f"  {'red  ' if change.red else '     '}{change}" for change in group]
        counted = ", ".join(f"{TITLES[kind]} {number}" for kind in KINDS if kind != "note" and (number := self.counts[kind]))
        still = f"; {self.still_red} red before and after" if self.still_red else ""
        result = f"{len(self.red)} red" if self.red else "nothing got worse"
        lines.append(f"compared {self.compared} checks: {counted or 'no change'}{still}; {result}")
        return "\n".join(lines)


def compare(old: Iterable[Record], new: Iterable[Record], drift: float = 10.0) -> Comparison:
    r"""Compare a run with an earlier one, check by check.

    Red are:

    - a verdict that got worse, in the order holds; not-claimed, unsupported, expected; unexpected; violated; error. From
      ``holds`` to ``expected`` is worse too: an excuse was added, and the baseline is to be renewed on purpose;
    - a check that vanished;
    - a check that holds in both and whose slack s = measured / bound grew by more than ``drift``, that is
      :math:`s_1 > d \max(s_0, 1/64)`. Rounding bounds have a safety factor of 64, so a slack below 1/64 is what rounding
      itself produces; it counts as 1/64, and a jump from 1e-6 to 1e-4 is no drift;
    - a new check with a red verdict;
    - counted operations that increased, by however little, as they repeat exactly. If torch differs between the runs, which
      may count otherwise, they are reported but not red.

    Checks are matched by subject, claim, problem, dtype and device. Runs with different seeds are compared, with a note.

    Args:
        old: the baseline; of a run with a selection, leave out what was not selected.
        new: the run to be judged.
        drift: factor d by which slack may grow, above one.

    Raises:
        BaselineError: the runs have no check in common, one has a check twice, or ``drift`` is not above one.

    Example:
        >>> before = [Record("mine", "T4", "mlp", measured=1.0, bound=10.0)]
        >>> after = [Record("mine", "T4", "mlp", measured=11.0, bound=10.0, verdict="violated", reason="half of it")]
        >>> print(compare(before, after).text())
        regressions (1)
          red  mine T4@mlp[float64-cpu]: holds -> violated: half of it
        compared 1 checks: regressions 1; 1 red
    """
    if not drift > 1 or math.isinf(drift):
        raise BaselineError(f"the factor of drift is a number above 1, such as 10, not {drift}")
    before, after = _by_key(old, "baseline"), _by_key(new, "new run")
    pairs = [(before[key], record) for key, record in after.items() if key in before]
    if not pairs:
        raise BaselineError(
            f"nothing in common: no check of the baseline ({_about(before.values())}) stands in the new run "
            f"({_about(after.values())}); compare runs of the same subject, dtype and device"
        )
    changes = [change for pair in pairs for change in (_verdict(*pair), _drift(*pair, drift)) if change]
    changes += [Change("vanished", _name(r), f"was {r.verdict}", red=True) for key, r in before.items() if key not in after]
    changes += [Change("new", _name(r), _said(r), red=r.red) for key, r in after.items() if key not in before]
    changes += [*_costs(pairs), *_notes(pairs)]
    still_red = sum(a.red and a.verdict == b.verdict for a, b in pairs)
    return Comparison(tuple(sorted(changes, key=lambda change: KINDS.index(change.kind))), len(pairs), still_red)


def _by_key(records: Iterable[Record], what: str) -> dict[Key, Record]:
    found: dict[Key, Record] = {}
    for record in records:
        if record.key in found:
            raise BaselineError(f"the {what} has {_name(record)} twice; compare one run with one run")
        found[record.key] = record
    return found


def _verdict(old: Record, new: Record) -> Change | None:
    if old.verdict == new.verdict:
        return None
    worse = SEVERITY[new.verdict] - SEVERITY[old.verdict]
    kind: Kind = "regression" if worse > 0 else "improvement" if worse < 0 else "changed"
    return Change(kind, _name(new), f"{old.verdict} -> {_said(new)}", red=worse > 0)


def _drift(old: Record, new: Record, factor: float) -> Change | None:
    if old.verdict != "holds" or new.verdict != "holds" or old.slack is None or new.slack is None:
        return None
    if not new.slack > factor * max(old.slack, FLOOR):
        return None
    text = f"slack {old.slack:.2g} -> {new.slack:.2g} of the bound, above {factor:g} times max(before, 1/64)"
    return Change("drift", _name(new), text, red=True)


@dataclass
class _Cost:
    """Counted operations of a subject on a problem, which many checks share."""

    old: int
    new: int
    torch: tuple[str | None, str | None]
    checks: list[str] = field(default_factory=list)

    def change(self, where: str) -> Change:
        ratio = f" ({self.new / self.old:.4g} times)" if self.old else ""
        text = f"{self.old} -> {self.new} operations{ratio}, in {len(self.checks)} checks"
        if self.torch[0] != self.torch[1]:
            return Change("note", where, f"{text}; torch differs ({_arrow(*self.torch)}) and may count otherwise")
        more = self.new > self.old
        return Change("cost" if more else "improvement", where, text, red=more)


def _costs(pairs: Sequence[tuple[Record, Record]]) -> list[Change]:
    """Changed counts, once for all checks of a subject on a problem that show the same change."""
    costs: dict[tuple[object, ...], tuple[str, _Cost]] = {}
    for old, new in pairs:
        if old.flops is None or new.flops is None or old.flops == new.flops:
            continue
        torch = old.versions.get("torch"), new.versions.get("torch")
        where = f"{new.subject} on {new.problem}[{new.dtype}-{new.device}]"
        _, cost = costs.setdefault((where, old.flops, new.flops, torch), (where, _Cost(old.flops, new.flops, torch)))
        cost.checks.append(new.claim)
    return [cost.change(where) for where, cost in costs.values()]


def _notes(pairs: Sequence[tuple[Record, Record]]) -> list[Change]:
    """Circumstances that differ between the runs."""
    notes = []
    seeds = dict.fromkeys((old.seed, new.seed) for old, new in pairs if old.seed != new.seed)
    for before, after in seeds:
        text = f"the seed differs ({before} -> {after}): data and draws differ, and slack with them"
        notes.append(Change("note", "", text))
    names = sorted({name for pair in pairs for record in pair for name in record.versions})
    for name in names:
        found = dict.fromkeys((old.versions.get(name), new.versions.get(name)) for old, new in pairs)
        notes += [Change("note", "", f"the version of {name} differs: {_arrow(*pair)}") for pair in found if pair[0] != pair[1]]
    uncounted = sum(old.flops is not None and new.flops is None for old, new in pairs)
    if uncounted:
        notes.append(Change("note", "", f"operations are no longer counted in {uncounted} checks"))
    return notes


def _arrow(old: str | None, new: str | None) -> str:
    return f"{old or 'not recorded'} -> {new or 'not recorded'}"


def _said(record: Record) -> str:
    return f"{record.verdict}: {record.reason}" if record.red and record.reason else record.verdict


def _name(record: Record) -> str:
    return f"{record.subject} {record.claim}@{record.problem}[{record.dtype}-{record.device}]"


def _about(records: Iterable[Record]) -> str:
    """Which subjects, dtypes and devices a run has."""
    kinds = dict.fromkeys(f"{record.subject} in {record.dtype} on {record.device}" for record in records)
    return ", ".join(kinds) or "no records"
