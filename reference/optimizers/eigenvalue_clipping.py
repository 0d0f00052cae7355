"""Solving with a matrix whose small eigenvalues are removed or raised."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


@dataclass(frozen=True)
class EigenvalueClipping:
    r"""What becomes of the eigenvalues below :math:`c \lambda_{max}`.

    Args:
        threshold: c, relative to the largest eigenvalue, in [0, 1).
        mode: ``"remove"``: they count as zero, and so do their directions in the solution, which is that of the
            pseudo-inverse; ``"floor"``: they are raised to the threshold, and their directions take short steps.

    Raises:
        ProblemError: the threshold is not in [0, 1), or the mode is neither.

    Example:
        >>> flat, right = torch.diag(torch.tensor([2.0, 1e-9])), torch.ones(2)
        >>> [EigenvalueClipping(0.5, mode).solve(flat, right).tolist() for mode in ("remove", "floor")]
        [[0.5, 0.0], [0.5, 1.0]]

    Reference:
        Golub and Van Loan, "Matrix computations", 4th ed. (2013), sec. 5.5 (removal); Nocedal and Wright, "Numerical
        optimization", 2nd ed. (2006), eq. 3.41 (raising).
    """

    threshold: float
    mode: Literal["remove", "floor"] = "remove"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise ProblemError(f"the threshold is relative to the largest eigenvalue and lies in [0, 1), got {self.threshold}")
        if self.mode not in ("remove", "floor"):
            raise ProblemError(f"small eigenvalues are 'removed' or 'floored': mode is 'remove' or 'floor', not {self.mode!r}")

    def solve(self, matrix: Tensor, right: Tensor, damping: float = 0.0) -> Tensor:
        """Solve with the clipped matrix ``(P, P)``, symmetric, plus damping I; shaped like ``right``, ``(P,)``.

        Raises:
            ProblemError: shapes do not fit, the damping is negative, the matrix has entries that are NaN or infinite, or an
                eigenvalue is still zero.
        """
        if right.ndim != 1 or matrix.shape != (len(right), len(right)):
            raise ProblemError(f"a matrix {tuple(matrix.shape)} and a right-hand side {tuple(right.shape)} do not fit")
        if not damping >= 0:
            raise ProblemError(f"damping must not be negative, got {damping}")
        if not bool(matrix.isfinite().all()):
            raise ProblemError("the matrix has entries that are NaN or infinite")
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        limit = self.threshold * values[-1].clamp(min=0)
        projected = vectors.T @ right
        if self.mode == "remove":
            kept = values > limit
            removed: Tensor = vectors[:, kept] @ (projected[kept] / (values[kept] + damping))
            return removed
        floored = values.clamp(min=limit) + damping
        if not bool(floored[0] > 0):
            raise ProblemError("an eigenvalue is still zero at the threshold; raise it, add damping, or use mode='remove'")
        raised: Tensor = vectors @ (projected / floored)
        return raised
