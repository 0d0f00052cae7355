"""An approximation whose invariance is measured, and the group of maps under which theory says that its step stays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fishergauge.reference import FAMILIES, Problem, Reparametrization, UnsupportedError

Solve = Callable[[Any, Tensor, float], Tensor]


@dataclass(frozen=True, eq=False)
class Approximation:
    """A matrix that preconditions the gradient.

    Args:
        name: in tables; no white space.
        label: in figures.
        build: ``(problem, original) -> matrix``; the original problem gives what must be common to all coordinates, such as
            drawn labels.
        group: one of :data:`~fishergauge.suites.spectrum.groups.GROUPS`, in which its step is invariant; None: nothing is
            known, and nothing is predicted.
        exact_group: the group where its blocks are exact (T8: a deep linear network under squared error).
        tensorial: whether it transforms as M -> DT' M DT also under nonlinear maps. A Hessian does not.
        solve: its damped inverse, ``(matrix, vector, damping) -> vector``; that of M + lambda I where it has none.
        layered: whether it is made of layers, so that it has no meaning in coordinates that mix them.
        power: p of a matrix that is the p-th power of something computed from gradients.
        magnified: how far the matrix may be off in units of rounding, on a problem: an eigenbasis is as good as its gaps.
        inverted: ``(matrix, problem)`` to the matrix whose inverse is meant: a quasi-diagonal with zeros between the weights
            of a unit stands for its completion.
        counterpart: the correct matrix of the same kind: its kernel says where a pseudo-inverse may depend on coordinates. Its
            own where there is none: a matrix under test must not excuse itself by what it drops.
        own: whether it belongs to the catalogue; a subject that is under test is told what is promised only.
    """

    name: str
    label: str
    build: Callable[[Problem, Problem], Any]
    group: str | None
    exact_group: str | None = None
    tensorial: bool = True
    solve: Solve | None = None
    layered: bool = False
    power: float = 1.0
    magnified: Callable[[Problem], float] = lambda problem: 1.0
    inverted: Callable[[Tensor, Problem], Tensor] = lambda matrix, _: matrix
    counterpart: "Approximation | None" = None
    own: bool = True

    def matrix(self, change: Reparametrization | None, original: Problem) -> Any:
        """What it gives in the coordinates of a change; in the original ones for None.

        Raises:
            UnsupportedError: it has no meaning there.
        """
        if change is None:
            return self.build(original, original)
        if self.layered and not FAMILIES[change.family].layerwise:
            raise UnsupportedError("it is made of layers, and in these coordinates the parameters belong to none")
        return self.build(change.problem, original)
