"""A claim: a property of curvature matrices as data, with the conditions under which it is made and a way to measure it."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fishergauge.suites.subject import Structure, Subject, Target

if TYPE_CHECKING:
    from fishergauge.suites.case import Case

FISHERS: tuple[Target, ...] = ("fisher", "ggn")
TARGETS: tuple[Target, ...] = ("fisher", "ggn", "hessian", "empirical-fisher")
ENTRYWISE: tuple[Structure, ...] = ("dense", "block-diagonal", "diagonal", "quasi-diagonal")
FACTORED: tuple[Structure, ...] = ("kronecker", "eigen-kronecker")
STRUCTURES: tuple[Structure, ...] = (*ENTRYWISE, *FACTORED, "low-rank", "none")


@dataclass(frozen=True)
class Scope:
    """Which subjects make a claim: what follows from target, structure, draws, bias and sharing, as data.

    Args:
        targets: any of them.
        structures: any of them.
        drawn: True: Monte-Carlo estimators alone; False: deterministic subjects alone; None: both.
        bias: declarations that make the claim; None stands for "recognised from the matrix".
        sharing: declarations that make it.
        solve: the subject must bring its own ``solve``.
        group: its callable must take the keyword ``group``.
        opt_in: only where the subject's ``claims`` name it.
    """

    targets: tuple[Target, ...] = TARGETS
    structures: tuple[Structure, ...] = STRUCTURES
    drawn: bool | None = False
    bias: tuple[str | None, ...] = ("joint", "separate", None)
    sharing: tuple[str, ...] = ("expand", "reduce")
    solve: bool = False
    group: bool = False
    opt_in: bool = False

    def holds(self, subject: Subject) -> bool:
        """Whether the subject is among them, opting in aside."""
        return (
            subject.target in self.targets
            and subject.structure in self.structures
            and (self.drawn is None or self.drawn == subject.drawn)
            and subject.bias in self.bias
            and subject.sharing in self.sharing
            and (not self.solve or subject.solve is not None)
            and (not self.group or "group" in subject.keywords)
        )


@dataclass(frozen=True)
class Finding:
    """What a measurement found; the claim holds if ``measured <= bound``.

    Args:
        measured: a deviation, not negative; NaN violates.
        bound: what rounding, truncation or chance can explain.
        formula: of the bound.
        witness: where the deviation sits; looked at when the claim is violated.
        note: what a reader should know even if it holds (the detectable bias, say).
    """

    measured: float
    bound: float
    formula: str
    witness: str = ""
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.measured <= self.bound


class NotHere(Exception):
    """The claim has no content on this problem; the message says why. The check is left out, not counted as passed."""


@dataclass(frozen=True)
class Claim:
    """A property that can be executed and can fail.

    Args:
        id: short and stable, such as ``"T4"`` or ``"T26-psd"``; records are keyed by it.
        name: a few words with hyphens, such as ``"bias-block-exact"``.
        statement: one sentence.
        source: paper and equation.
        scope: which subjects make it.
        requires: tags that a problem must have (:mod:`fishergauge.suites.tags`).
        excludes: tags that it must not have.
        bound: the formula of the bound.
        control: in which case it must fail (the negative control).
        measure: how it is measured; raises :class:`NotHere` where the claim is empty.
        informs: subjects that do not make it but for which it is measured for information.
        cost: how many times the subject is called on a problem, roughly; decides which claim is the cheaper one.
        optional: whether a subject need not be able to follow it on any problem (it speaks of operators, say, and the subject
            returns tensors): the run is then not called vacuous.
        counts: whether its records carry the floating-point operations of one call of the subject.
    """

    id: str
    name: str
    statement: str
    source: str
    scope: Scope
    bound: str
    control: str
    measure: "Callable[[Case], Finding]"
    requires: frozenset[str] = frozenset()
    excludes: frozenset[str] = frozenset()
    informs: Scope | None = None
    cost: int = 1
    counts: bool = False
    optional: bool = False

    def matches(self, pattern: str) -> bool:
        """Whether a glob means this claim, by id or by name."""
        return fnmatchcase(self.id, pattern) or fnmatchcase(self.name, pattern)

    def made_by(self, subject: Subject) -> bool:
        """Whether the subject makes the claim, by what it declares."""
        if any(self.matches(pattern) for pattern in subject.disclaims):
            return False
        if any(self.matches(pattern) for pattern in subject.claims):
            return True
        return self.scope.holds(subject) and not self.scope.opt_in

    def measured_for(self, subject: Subject) -> bool:
        """Whether it is measured at all: made, or of interest."""
        if self.made_by(subject) or (self.scope.holds(subject) and not self.scope.opt_in):
            return True
        return self.informs is not None and self.informs.holds(subject)

    def applies_to(self, tags: frozenset[str], subject: Subject) -> bool:
        """Whether a problem with these tags is among those that the claim speaks of, for this subject's target.

        Where the objective is no log-likelihood there is no Fisher and nothing to draw from, and no claim about either.
        """
        if (subject.target == "fisher" or subject.drawn) and "likelihood" not in tags:
            return False
        return self.requires <= tags and not self.excludes & tags
