"""A row of the spectrum: one approximation in the coordinates of one family, predicted and measured."""

from dataclasses import dataclass
from typing import Literal

from fishergauge.suites.record import Verdict

COINCIDES = "coincides here, in both coordinates, with: "
"""How the source of a prediction begins that rests on the equality of matrices on this model and data."""

Predicted = Literal["invariant", "first order", "not invariant", "unknown"]
Measure = Literal["outputs", "parameters", "damped", "damped by T'T", "order"]


@dataclass(frozen=True)
class Row:
    r"""What was predicted and measured.

    Args:
        approximation: its name.
        model: of the problem; ``data``: what it is trained on; ``dtype``: ``float64`` or ``float32``.
        family: of the maps; ``kappa``: their condition number, one for families without.
        measure: how steps are compared. ``outputs``: the change of the outputs by the undamped step, in the Fisher norm;
            ``parameters``: the step pushed back; ``damped``: the outputs under a damping lambda I, the same in both
            coordinates; ``damped by T'T``: under lambda T'T; ``order``: how the deviation falls with the length of the step.
        predicted: what theory says.
        source: the theorem behind it.
        verdict: ``holds``: prediction and measurement agree; ``violated``: predicted to be invariant, and is not;
            ``unexpected``: predicted not to be, but is; ``unsupported``: the approximation has no meaning there, or says so;
            ``error``: it raised something; ``not-claimed``: nothing is predicted, or rounding leaves nothing to be decided.
        measured: the relative deviation; for ``order`` the fitted exponent.
        bound: what rounding explains, None where eigenvalues are lost; for ``order`` the distance from one that is allowed.
        reason: of a verdict other than ``holds`` and ``violated``.
        rank: number of eigenvalues above the cut-off in the new coordinates; ``condition``: of the matrix on them.
        cut: the same deviation with the paper's cut-off 1e-8, where that cuts off more; None otherwise.
        promised: whether the structure that is declared promises the group; of a subject under test.
    """

    approximation: str
    model: str
    data: str
    dtype: str
    family: str
    kappa: float
    measure: Measure
    predicted: Predicted
    source: str = ""
    verdict: Verdict = "holds"
    measured: float | None = None
    bound: float | None = None
    reason: str = ""
    rank: int | None = None
    condition: float | None = None
    cut: float | None = None
    promised: bool = True

    @property
    def red(self) -> bool:
        """Whether theory and measurement contradict each other, or nothing could be measured that should."""
        return self.verdict in ("violated", "unexpected", "error")
