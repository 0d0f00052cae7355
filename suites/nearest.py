"""Which planted defect a wrong matrix resembles: the likely mistake."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.closeness import relative_deviation, rounding_bound
from fishergauge.suites.subject import Subject

if TYPE_CHECKING:
    from fishergauge.suites.meta.bank import Defect

NEAR = 0.1  # relative distance up to which a defect is named
EXPLAINED = 0.5  # share of the deviation that a defect may leave unexplained
MOST_KEPT = 160  # parameters of a problem up to which the matrices of the bank are kept
MOST_SEARCHED = 1000  # parameters up to which there is a search

Found = list[tuple["Defect", float]]


def nearest_defects(matrix: Tensor, problem: Problem, subject: Subject, correct: Tensor | None = None) -> Found:
    r"""The planted defects that a wrong matrix resembles, the nearest first.

    .. math:: \text{distance} = \|M - D\|_F / \|M\|_F

    Left out are defects that make no difference on this problem, those that cannot be made on it, those no nearer than the
    right matrix, and those near to both: within a distance of 0.1, yet more than half of the deviation unexplained.

    Args:
        matrix: M, ``(P, P)``.
        problem: on which it was obtained.
        subject: which declares what the matrix is meant to be.
        correct: what it should have been; the bank's own right matrix of the declaration by default.

    Returns:
        Pairs of a defect and its distance; empty where the matrix has another shape or is not finite, and for problems
        with more than a thousand parameters.

    Example:
        >>> import torch
        >>> from fishergauge.reference import ggn
        >>> problem = Problem(torch.nn.Linear(2, 1), torch.nn.MSELoss(), [(torch.eye(2).repeat(3, 1), torch.zeros(6, 1))])
        >>> wrong = ggn(problem).dense() / 36
        >>> nearest_defects(wrong, problem, Subject("mine", lambda p: wrong, target="ggn"))[0][0].id
        'D1'
    """
    size = problem.num_parameters
    if matrix.shape != (size, size) or size > MOST_SEARCHED or not bool(matrix.isfinite().all()):
        return []
    declared = recognised(matrix, problem, subject)
    right = _right(problem, declared) if correct is None else correct
    measured = matrix.double()
    scale = float(measured.norm())
    deviation = math.inf if right is None else float((measured - right.double()).norm())
    found = []
    for defect, planted in _planted(problem, declared):
        if right is not None and relative_deviation(planted, right) <= rounding_bound(problem.dtype, size):
            continue
        distance = float((measured - planted.double()).norm())
        if distance <= EXPLAINED * deviation or NEAR * scale < distance < deviation:
            found.append((defect, distance))
    return sorted(((d, 0.0 if x == 0 else x / scale if scale else math.inf) for d, x in found), key=lambda pair: pair[1])


def describe(nearest: Sequence[tuple["Defect", float]]) -> str:
    """The nearest defect in words, with its distance and that of the next; equally near ones are named together.

    Args:
        nearest: what :func:`nearest_defects` gave.

    Returns:
        Such as ``planted defect D1 "gradients of the mean loss squared" (relative distance 4e-16; next: 0.3)``.
    """
    if not nearest:
        return "none of the bank"
    first, distance = nearest[0]
    if not distance <= NEAR:
        return f"none of the bank (closest: {first.id} at {distance:.1g})"
    ties = [defect for defect, other in nearest if other - distance <= 1e-12 + 1e-3 * distance]
    ties.sort(key=lambda defect: not defect.id.startswith("D"))  # what happened before comes first
    names = " or ".join(str(defect) for defect in ties[:3])
    more = f" or {len(ties) - 3} more" if len(ties) > 3 else ""
    rest = nearest[len(ties) :]
    following = f"; next: {rest[0][1]:.1g}" if rest else ""
    return f"planted defect {names}{more} (relative distance {distance:.1g}{following})"


def recognised(matrix: Tensor, problem: Problem, subject: Subject) -> Subject:
    """The declaration with ``bias`` filled in: joint if any entry between a weight and a bias of one layer is not zero."""
    if subject.bias is not None:
        return subject
    names, start, places = list(problem.parameters), 0, {}
    for name, parameter in problem.parameters.items():
        places[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    pairs = [(name, f"{name.removesuffix('weight')}bias") for name in names if name.endswith("weight")]
    joint = any(bool(matrix[places[weight], places[bias]].any()) for weight, bias in pairs if bias in places)
    return replace(subject, bias="joint" if joint else "separate")


def _declaration(subject: Subject) -> tuple[str, str, str | None, str, int | None]:
    return subject.target, subject.structure, subject.bias, subject.sharing, subject.samples


def _planted(problem: Problem, subject: Subject) -> Iterator[tuple["Defect", Tensor]]:
    """The wrong matrices of a declaration, kept where they are small."""
    from fishergauge.suites.meta.bank.pieces import versions

    key = problem, versions(problem), _declaration(subject)
    return iter(_kept(*key)) if problem.num_parameters <= MOST_KEPT else _computed(problem, subject)


@lru_cache(maxsize=4)
def _kept(
    problem: Problem, written: tuple[int, ...], declaration: tuple[str, str, str | None, str, int | None]
) -> tuple[tuple["Defect", Tensor], ...]:
    target, structure, bias, sharing, samples = declaration
    subject = Subject("declared", lambda _: None, target, structure, samples, bias, sharing)  # type: ignore[arg-type]
    return tuple(_computed(problem, subject))


def _computed(problem: Problem, subject: Subject) -> Iterator[tuple["Defect", Tensor]]:
    from fishergauge.suites.meta.bank import BANK

    for defect in BANK.values():
        if defect.shared or defect.matrix is None or not defect.family.fits(subject):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                planted = defect.matrix(problem, subject)
            except Exception:  # a mistake that cannot be made here
                continue
        if planted.shape == (problem.num_parameters, problem.num_parameters) and bool(planted.isfinite().all()):
            yield defect, planted


def _right(problem: Problem, subject: Subject) -> Tensor | None:
    """The right matrix of a declaration, None where it is not defined."""
    from fishergauge.suites.meta.bank.pieces import pieces_of

    try:
        return pieces_of(problem).right(subject)
    except Exception:
        return None
