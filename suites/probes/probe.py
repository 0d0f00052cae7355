"""A probe: a claim about a matrix of any size, measured by its products, with the power of the measurement."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fishergauge.suites.claim import Finding, Scope
from fishergauge.suites.subject import Subject

if TYPE_CHECKING:
    from fishergauge.suites.probes.probe_case import ProbeCase

MISSED = 1e-6
"""The probability with which a probe may miss a defect of the size that it gives as its power."""


@dataclass(frozen=True)
class ProbeFinding(Finding):
    """What a probe found; it holds if ``measured <= bound``.

    Args:
        power: the smallest relative defect that is seen with a probability of at least 1 - :data:`MISSED`; None where nothing
            is drawn, so that every defect of the kind beyond the bound is seen.
        seen: what the power is relative to, and what cannot be seen, in words.
        estimate: of a quantity that is estimated, such as a trace or a relative error.
        interval: of its confidence, lower and upper end.
    """

    power: float | None = None
    seen: str = ""
    estimate: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Probe:
    """A property that products can refute.

    Args:
        id: such as ``"probe-psd"``; records are keyed by it.
        statement: one sentence.
        of: ids of the claims on (P, P) arrays whose place it takes.
        source: paper and equation.
        scope: which subjects make it.
        bound: the formula of the bound.
        blind: what it cannot see, one sentence.
        control: in which case it must fail.
        measure: how it is measured; raises :class:`~fishergauge.suites.claim.NotHere` where it has no content.
        requires: tags that a problem must have.
        excludes: tags that it must not have.
        informs: whether it is measured for subjects that do not make it, for information.
    """

    id: str
    statement: str
    of: tuple[str, ...]
    source: str
    scope: Scope
    bound: str
    blind: str
    control: str
    measure: "Callable[[ProbeCase], ProbeFinding]"
    requires: frozenset[str] = frozenset()
    excludes: frozenset[str] = frozenset()
    informs: bool = False

    def matches(self, pattern: str) -> bool:
        """Whether a glob means this probe, by its id, with or without ``probe-``, or by a claim whose place it takes."""
        return any(fnmatchcase(name, pattern) for name in (self.id, self.id.removeprefix("probe-"), *self.of))

    def made_by(self, subject: Subject) -> bool:
        """Whether the subject promises it, by what it declares."""
        return self.scope.holds(subject) and not any(self.matches(pattern) for pattern in subject.disclaims)

    def applies_to(self, tags: frozenset[str], subject: Subject) -> bool:
        """Whether it has content on a problem with these tags."""
        if (subject.target == "fisher" or subject.drawn) and "likelihood" not in tags:
            return False
        return self.requires <= tags and not self.excludes & tags
