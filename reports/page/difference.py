"""The difference between two reports: what changed in each part, and whether something got worse."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from fishergauge.reports.page.difference_change import KINDS, Change, Circumstances, Found
from fishergauge.reports.page.difference_environment import versions
from fishergauge.reports.page.difference_request import request_of
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.part import Part
from fishergauge.suites.wording import plural

Compare = Callable[[Part, Part, Circumstances], Found]
COMPARED = ("conformance", "probes", "paper", "spectrum", "accuracy", "bench", "peers", "expected", "environment")
"""Parts that a function of the same name in ``difference_<name>`` compares."""
BY_RECORDS = ("conformance", "bench")
"""Those of which ``by_records`` in the same module compares the records, where both folders have them, which is finer."""
LEFT_OUT = ("changes", "glossary")
WORDS: Mapping[str, str] = {
    "regression": "regressed",
    "vanished": "vanished",
    "drift": "closer to the bound",
    "cost": "dearer",
    "new": "new",
    "improvement": "improved",
    "changed": "otherwise different",
}
REMEDY = "make both reports with the same options to compare all of them"


@dataclass(frozen=True)
class Difference:
    """The difference between two reports.

    Args:
        changes: red ones first, then by kind, then in the order of the parts.
        compared: by part, how many things stand in both, with their name in the singular.
    """

    changes: tuple[Change, ...]
    compared: Mapping[str, tuple[int, str]]

    @property
    def red(self) -> tuple[Change, ...]:
        """The changes that fail the comparison."""
        return tuple(change for change in self.changes if change.red)

    def counts(self, red: bool) -> dict[str, int]:
        """How many changes there are of each kind, red ones or others, in the order of the kinds; notes are none."""
        counted = Counter(change.kind for change in self.changes if change.red == red)
        return {kind: counted[kind] for kind in KINDS if counted[kind] and kind != "note"}

    @property
    def exit_code(self) -> int:
        """1 if a change is red, 0 otherwise."""
        return int(bool(self.red))

    def summary(self) -> str:
        """What changed, in a sentence or two."""
        red, others = self.counts(red=True), self.counts(red=False)
        worse = f"{plural(len(self.red), 'change')} for the worse: {_listed(red)}" if red else "Nothing got worse"
        besides = f"{'; besides' if red else ':'} {_listed(others)}" if others else ""
        things = ", ".join(plural(count, noun) for count, noun in self.compared.values() if count)
        if not things and not red and not others:
            return "Nothing could be compared."
        return f"{worse}{besides}. Compared: {things or 'nothing'}."


def difference(old: Document, new: Document, folders: tuple[Path, Path] | None = None) -> Difference:
    """Say what changed from one report to the next.

    A thing has vanished, which is red, if the later report was asked for it:

    - a part, a subject or a library that is gone as a whole, if the command lines of both reports ask for the same (parts,
      subjects, files of problems, dtype, seed, length of the runs); otherwise its absence is a choice, and a note;
    - a row of a part that both reports have, in any case.

    A quick and a full report differ in what they measure. Of them only checks are compared that stand in both, where the
    records of both are at hand; all else is refused with a note.

    Args:
        old: the earlier report.
        new: the later one.
        folders: of both, where their artefacts lie; without them, conformance is compared by cells of the matrix.

    Returns:
        The changes.

    Example:
        >>> before = Document("report", (Part("paper", "Claims", "", {"rows": [{"id": "E1", "verdict": "confirmed"}]}),))
        >>> [str(change) for change in difference(before, Document("report", ())).red]
        ['The part "Claims": is not in this report']
    """
    if folders and folders[0].resolve() == folders[1].resolve():  # what the earlier report left there has been overwritten
        folders = None
    asked, before = request_of(new), request_of(old)
    about = Circumstances(asked == before, asked.seed == before.seed, _torch(old) == _torch(new))
    changes = _notes(old, new)
    compared: dict[str, tuple[int, str]] = {}
    for part in old.parts:
        other = new.part(part.name)
        if part.name in LEFT_OUT or not part.data:
            continue
        if other is None or not other.data:
            changes.append(_gone(part, other, about.same and asked.asks_for(part.name)))
            continue
        changes += _gaps(part, other)
        found = _compare(part, other, about, folders, old.quick == new.quick)
        changes += found.changes
        compared[part.name] = (found.compared, found.what)
    changes += [
        Change(part.name, "new", f'The part "{part.title}"', "the earlier report does not have it", anchor=part.name)
        for part in new.parts
        if part.name not in LEFT_OUT and part.data and not ((earlier := old.part(part.name)) and earlier.data)
    ]
    return Difference(tuple(sorted(changes, key=lambda one: (not one.red, KINDS.index(one.kind)))), compared)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {WORDS[kind]}" for kind, count in counts.items())


def _compare(old: Part, new: Part, about: Circumstances, folders: tuple[Path, Path] | None, as_long: bool) -> Found:
    """Compare a part that both reports have, by records where there are some."""
    if old.name not in COMPARED:
        return Found()
    module = import_module(f"fishergauge.reports.page.difference_{old.name}")
    found: Found | None = None
    if folders and old.name in BY_RECORDS and (as_long or old.name == "conformance"):
        found = module.by_records(old, new, folders, about if as_long else replace(about, common=True))
    if found is None and as_long:
        compare: Compare = getattr(module, old.name)
        try:
            found = compare(old, new, about)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # data of another version
            said = f"not compared: its data are not as expected ({type(error).__name__}); make the earlier report anew"
            found = Found((Change(old.name, "note", "", said),))
    return found or Found()


def _gone(old: Part, new: Part | None, asked: bool) -> Change:
    """A part that the earlier report had."""
    why = "; ".join(f"{gap.what}: {gap.why}" for gap in new.gaps) if new else ""
    said = f"nothing of it is there: {why}" if why else "is not in this report"
    if not asked:
        return Change(old.name, "note", f'The part "{old.title}"', f"{said}; this report was not asked for the same")
    return Change(old.name, "vanished", f'The part "{old.title}"', said, True, old.name if new else "")


def _gaps(old: Part, new: Part) -> list[Change]:
    """What is missing now and was not before."""
    known = {gap.what for gap in old.gaps}
    return [
        Change(new.name, "note", f"Missing: {gap.what}", gap.why, anchor=new.name) for gap in new.gaps if gap.what not in known
    ]


def _notes(old: Document, new: Document) -> list[Change]:
    """Circumstances that differ between the reports."""
    notes = []
    if old.title != new.title:
        notes.append(Change("", "note", "Title", f"{old.title} -> {new.title}"))
    if old.quick != new.quick:
        lengths = ("quick", "full") if old.quick else ("full", "quick")
        said = f"the earlier report is of {lengths[0]} runs, this one of {lengths[1]} ones: {REMEDY}"
        notes.append(Change("", "note", "Length of the runs", said))
    return notes


def _torch(document: Document) -> str:
    """The version of torch, as far as the report says."""
    return versions(document.part("environment")).get("torch", "")
