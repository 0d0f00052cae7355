"""A model that is used again: for a second matrix beside the first, and after a forward pass that failed."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites import variants
from fishergauge.suites.case import Case, SubjectFailed
from fishergauge.suites.claim import Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.agreement import representation
from fishergauge.suites.claims.conduct import COUNTED
from fishergauge.suites.closeness import relative_deviation
from fishergauge.suites.comparison import compared, worst
from fishergauge.suites.fault import Fault, last_called
from fishergauge.suites.guard import Outcome, fresh_copy
from fishergauge.suites.matrix import densified, multiplied

BOUND = "64 u sqrt(n)"

# --- two matrices on one model ------------------------------------------------------------------------------------------


def side_by_side(case: Case) -> Finding:
    """Two matrices of one model, of all data and of a part, both used after both were built, against each of them alone.

    Parameters stay as they are, so that it does not matter whether a matrix is one of the parameters then or now.
    """
    other, _ = variants.halves(case.problem)
    alone, alone_other = case.matrix(), case.matrix(other)
    right = torch.randn(len(alone), generator=case.generator("solve"), dtype=torch.float64).to(alone)
    damping = 2 * float(alone.norm()) or 1.0
    expected = _looks(case, case.raw(), right, damping)
    first = fresh_copy(case.problem)
    second = _on_the_model_of(first, other)
    one = case.inside(case.build, first)
    if not torch.equal(first.vector, case.problem.vector):
        raise NotHere("the first call moved the parameters, so that the second matrix is one at others")
    try:
        two = case.inside(case.build, second)
        early = case.inside(densified, two, second)
        mine = case.inside(densified, one, first)
        looks = _looks(case, one, right, damping)
        late = case.inside(densified, two, second)
    except SubjectFailed as failed:
        return _broken("with two matrices on one model", failed)
    return worst(
        _told("the first matrix, after the second was built", compared(mine, alone, case.problem)),
        _told("the second matrix", compared(early, alone_other, case.problem)),
        _told("the second matrix, after the first was used", compared(late, alone_other, case.problem)),
        *[_unchanged(case, looks.get(name), value, name, right, damping) for name, value in expected.items()],
    )


def _on_the_model_of(first: Problem, other: Problem) -> Problem:
    """The data of one problem with the model and the loss of another, the very objects."""
    second = fresh_copy(other)
    for name in ("model", "loss"):
        object.__setattr__(second, name, getattr(first, name))
    return second


def _looks(case: Case, raw: Any, right: Tensor, damping: float) -> dict[str, Tensor]:
    """The diagonal that a matrix offers of itself, and a damped solution, where there are such and they are given."""
    looks, solve = dict[str, Tensor](), case.subject.solve
    if not isinstance(raw, Tensor):
        diagonal = case.inside(representation, raw, "diagonal")
        looks |= {"diagonal": diagonal} if diagonal is not None else {}
    if solve is not None:
        with suppress(SubjectFailed):  # what solve must give is the matter of other claims
            looks["damped solution"] = torch.as_tensor(case.inside(lambda: solve(raw, right.clone(), damping))).detach()
    return looks


def _unchanged(case: Case, actual: Tensor | None, expected: Tensor, name: str, right: Tensor, damping: float) -> Finding:
    measured = relative_deviation(actual, expected) if actual is not None and actual.shape == expected.shape else math.inf
    witness = f"the {name} of the first matrix is off by {measured:.3g} relative after the second was built"
    plain = Finding(measured, case.bound(), BOUND, witness)
    if plain.holds or not math.isfinite(measured):
        return plain
    condition = _condition(case, expected, name, right, damping)
    return Finding(measured, case.bound(condition), f"{BOUND} * {condition:.1e} (condition number)", witness)


def _condition(case: Case, expected: Tensor, name: str, right: Tensor, damping: float) -> float:
    """How much a relative change of inputs and parameters is magnified in what a matrix gives of itself; one or more.

    Two evaluations may differ by rounding alone, and a solution may magnify that: by how much is known to the subject alone,
    which may damp its factors in its own way. So it is measured, by a change of random signs far above rounding.
    """
    change, source = math.sqrt(float(torch.finfo(case.problem.dtype).eps)), case.generator("condition")

    def shaken(values: Tensor) -> Tensor:
        signs = 2.0 * torch.randint(2, values.shape, generator=source) - 1
        return values * (1 + change * signs.to(values)) if values.is_floating_point() else values

    moved = fresh_copy(case.problem)
    with torch.no_grad():
        for parameter in moved.parameters.values():
            parameter.copy_(shaken(parameter))
    moved = replace(moved, batches=[(shaken(inputs), targets) for inputs, targets in moved.batches])
    found = _looks(case, case.inside(case.build, moved), right, damping).get(name)
    if found is None or found.shape != expected.shape:
        return 1.0
    return max(1.0, relative_deviation(found, expected) / change)


def _told(what: str, finding: Finding) -> Finding:
    """The finding with a witness that says of what."""
    return replace(finding, witness=f"{what}: {finding.witness}") if finding.witness else finding


def _broken(what: str, failed: SubjectFailed) -> Finding:
    """What works on a fresh copy fails here; a refusal and a time-out are no findings."""
    if failed.failure.kind != "error":
        raise failed
    return Finding(math.inf, 0.0, BOUND, f"{what}: {failed.failure.reason}")


# --- after an exception -------------------------------------------------------------------------------------------------


def survives_an_exception(case: Case) -> Finding:
    """What is left changed, and what the next matrix is, after the first, and after the last forward pass of a build raised.

    For what is no tensor also after the last one of a product.
    """
    trial = _Trial(case)
    findings = [trial.interrupted(1)]
    for call in sorted(trial.last - {0, 1}):
        if not findings[-1].holds:
            break
        with suppress(NotHere):  # the number of calls may depend on what came before
            findings.append(trial.interrupted(call))
    return worst(*findings)


class _Trial:
    """A copy of a problem whose model can be made to raise, and the same without an exception to compare with."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.expected = case.matrix()
        self.place = case.quantities.once(case.problem, "last called", lambda: last_called(fresh_copy(case.problem)))
        self.copy, self.fault = self._with_a_fault()
        self.last: set[int] = set()  # numbers of the last calls in a build, and in a product after it

    def _with_a_fault(self) -> tuple[Problem, Fault]:
        copy = fresh_copy(self.case.problem)
        return copy, Fault(copy.model.get_submodule(self.place))

    def interrupted(self, call: int) -> Finding:
        """A build, with a product where it is no tensor, in which that call of the module raises; then a build without."""
        self.fault.arm(call)
        outcome = self.case.observed(self.case.used, self.copy)
        self.fault.disarm()
        if not self.fault.raised:
            raise NotHere("no forward pass called the module that was to raise")
        if outcome.failure is not None and outcome.failure.kind == "timeout":
            raise SubjectFailed(outcome.failure)
        changes = outcome.changes and [change for change in outcome.changes if change not in self._calm().changes]
        if changes:
            return self._changed(changes)
        if outcome.failure is None:
            kept = self._compared("the exception did not reach the caller, and what was returned", outcome.value, self.copy)
            if not kept.holds:
                return kept
        return self._next()

    def _changed(self, changes: Sequence[str]) -> Finding:
        """What was left changed, and what came of it where that goes wrong too."""
        found = Finding(
            float(len(changes)), 0.0, COUNTED, f"after a forward pass that raised, left changed: {', '.join(changes)}"
        )
        with suppress(NotHere):
            following = self._next()
            if not following.holds:
                return replace(following, witness=f"{found.witness}; {following.witness}")
        return found

    def _calm(self) -> Outcome:
        """The same call without an exception: what it leaves changed is no matter of this claim."""
        copy, _ = self._with_a_fault()
        return self.case.observed(self.case.used, copy)

    def _next(self) -> Finding:
        """The next matrix of the same model, without the fault."""
        finding = self._built(self.copy)
        if finding.holds:
            return finding
        copy, _ = self._with_a_fault()
        self.case.observed(self.case.used, copy)
        if not self._built(copy).holds:
            raise NotHere("a second call on the same model goes wrong without an exception as well")
        return finding

    def _built(self, copy: Problem) -> Finding:
        what = "the next matrix of the same model, after an exception"
        self.fault.disarm()
        try:
            raw = self.case.inside(self.case.build, copy)
            self.last = {self.fault.calls}
            if not isinstance(raw, Tensor):
                self.case.inside(multiplied, raw, torch.ones_like(self.expected[:, :1]), copy)
                self.last |= {self.fault.calls}
        except SubjectFailed as failed:
            return _broken(what, failed)
        return self._compared(what, raw, copy)

    def _compared(self, what: str, raw: Any, copy: Problem) -> Finding:
        try:
            return _told(what, compared(self.case.inside(densified, raw, copy), self.expected, self.case.problem))
        except SubjectFailed as failed:
            return _broken(what, failed)


CLAIMS = (
    Claim(
        id="T26-together",
        name="matrices-side-by-side",
        statement="two matrices built on the same model, of different data, leave each other as they are",
        source="definition",
        scope=Scope(drawn=None),
        excludes=frozenset({"many-terms"}),
        bound=BOUND,
        control="what a matrix reads is kept by model, and the next one overwrites it; hooks that add to the factors twice",
        measure=side_by_side,
        cost=3,
    ),
    Claim(
        id="T26-exception",
        name="survives-an-exception",
        statement="an exception in the forward pass reaches the caller, leaves no trace and does not alter the next matrix",
        source="definition",
        scope=Scope(drawn=None),
        excludes=frozenset({"many-terms"}),
        bound=f"{COUNTED}, of changes; {BOUND} for the next matrix",
        control="hooks that stay after an exception (cybertronai/autograd-lib#5); sums that the next call goes on with",
        measure=survives_an_exception,
        cost=3,
    ),
)
