"""A row of accuracy against cost: one approximation of the Fisher on one problem."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["measured", "refused", "error"]


@dataclass(frozen=True)
class Row:
    r"""What an approximation costs, and how far it is from the exact Fisher.

    Args:
        problem: its name.
        approximation: its name.
        label: for people.
        kind: the family to which it belongs; ``subject`` for one of the user's.
        target: the quantity that it approximates.
        outcome: ``measured``; ``refused``: it says that it does not support the problem; ``error``: it raised anything else.
        reason: of an outcome other than ``measured``.
        exact: whether rounding explains its distance.
        distance: :math:`\|M - F\|_F / \|F\|_F` from the exact Fisher F.
        own_distance: the same from its own target, where that is not the Fisher.
        step_error: of the damped step :math:`(M + \lambda I)^{-1} g` relative to that of F, at the same damping.
        step_angle: between the two steps, in degrees.
        step_reason: why there is no step.
        flops: floating-point operations of building it; None where nothing is built, but products alone are at hand.
        step_flops: of all from the problem to the damped step, the gradient included.
        stored: numbers that it holds, None where its form does not tell.
        forward_passes: evaluations of the model on all samples while it is built.
        backward_passes: cotangents of all outputs that cross them meanwhile.
        front: whether no other is both as near and as cheap, in distance and operations of building; None where either is
            not known.
        dominated_by: who is, the nearest of those on the front.
        step_front: the same in the error of the step and all operations up to it.
        step_dominated_by: who is better there.
        timed_seconds: of building it, the median of a few calls.
    """

    problem: str
    approximation: str
    label: str
    kind: str
    target: str = "fisher"
    outcome: Outcome = "measured"
    reason: str = ""
    exact: bool | None = None
    distance: float | None = None
    own_distance: float | None = None
    step_error: float | None = None
    step_angle: float | None = None
    step_reason: str = ""
    flops: int | None = None
    step_flops: int | None = None
    stored: int | None = None
    forward_passes: int | None = None
    backward_passes: int | None = None
    front: bool | None = None
    dominated_by: str = ""
    step_front: bool | None = None
    step_dominated_by: str = ""
    timed_seconds: float | None = None

    @property
    def red(self) -> bool:
        """Whether it failed where it should have been measured or refused."""
        return self.outcome == "error"
