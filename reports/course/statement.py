"""A statement of the course as data: its words, the figures that test it, and the rule that judges it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.ledger import CONDITIONAL

Figures = Mapping[str, float]
Measure = Callable[[torch.Generator], Figures]

EXACT = re.compile(r"(?<![\d.])0e\+00")
"""How Python writes a deviation of exactly zero."""
REFUTED, UNTESTABLE, CONFIRMED = "refuted", "not testable as published", "confirmed"


@dataclass(frozen=True)
class Statement:
    """What the course says, and how it is put to the test.

    Args:
        section: of the course, 1 to 10.
        name: short, with hyphens; unique.
        quote: the words of the course.
        claim: what is claimed, in one sentence.
        measure: draws from a generator and returns deviations from the claim, and the bounds they are compared with.
        written: names of the deviations in the setting in which the claim is meant.
        elsewhere: those in other settings that the same words cover.
        control: those of a wrong variant, which the comparison must reject.
        condition: what must be added to the words if ``written`` holds and ``elsewhere`` does not.
        shown: what was measured of the statement as written; figures in braces.
        should: what was measured beside it.
        reason: why, in a sentence or two.
        bound: name of the bound, the largest deviation that counts as none.
        premises: deviations within ``bound`` that the reason or the comparison rests on, such as those of what would be right.
        apart: whether the claim is a difference: it holds where the figure is above the bound.
    """

    section: int
    name: str
    quote: str
    claim: str
    measure: Measure
    written: tuple[str, ...]
    shown: str
    should: str
    reason: str
    elsewhere: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    condition: str = ""
    bound: str = "bound"
    premises: tuple[str, ...] = ()
    apart: bool = False

    def holds(self, names: tuple[str, ...], figures: Figures) -> bool:
        """Whether the claim holds by all these figures; one that is NaN refutes."""
        bound = figures[self.bound]
        return all((figures[name] > bound) if self.apart else (figures[name] <= bound) for name in names)

    def verdict(self, figures: Figures) -> str:
        """The verdict that the figures lead to.

        A control that passes, or a premise that fails, makes the comparison worthless; a deviation where the claim is meant
        refutes it; one that appears only in other settings asks for the condition.
        """
        if self.faults(figures):
            return UNTESTABLE
        if not self.holds(self.written, figures):
            return REFUTED
        return CONFIRMED if self.holds(self.elsewhere, figures) else f"{CONDITIONAL}{self.condition}"

    def faults(self, figures: Figures) -> list[str]:
        """What is wrong with the comparison itself: controls that pass and premises that fail."""
        passed = [f"{name} passes" for name in self.control if self.holds((name,), figures)]
        return passed + [f"{name} fails" for name in self.premises if not figures[name] <= figures["bound"]]

    def judged(self, figures: Figures) -> Judgement:
        """The verdict with its reason."""
        faults = self.faults(figures)
        remark = f" The comparison is worthless here: {', '.join(faults)}." if faults else ""
        return Judgement(self.verdict(figures), self.reason + remark)

    def ledger_claim(self, figures: Figures) -> Claim:
        """The claim for the ledger, with the figures filled in."""
        names = (*self.written, *self.elsewhere, *self.control, *self.premises, self.bound)
        used = {name: figures[name] for name in names}
        shown, should = (EXACT.sub("0", text.format(**figures)) for text in (self.shown, self.should))
        return Claim(self.claim, self.quote, shown, should, self.judged(figures), used)


def worst_of(statement: Statement, measured: list[Figures]) -> Figures:
    """The figures of the seed with the gravest verdict; among equals, of the one nearest to another verdict.

    Args:
        statement: what is judged.
        measured: its figures, seed by seed; not empty.
    """
    order = (REFUTED, UNTESTABLE)

    def gravity(figures: Figures) -> tuple[int, float]:
        verdict = statement.verdict(figures)
        rank = order.index(verdict) if verdict in order else 2 + (verdict == CONFIRMED)
        deviations = [figures[name] for name in statement.written]
        return rank, min(deviations) if statement.apart else -max(deviations)

    return min(measured, key=gravity)
