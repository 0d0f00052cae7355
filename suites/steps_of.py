"""Steps from a matrix: the undamped solution on its range, with the condition number that bounds its rounding error."""

import torch
from torch import Tensor

from fishergauge.suites.claim import NotHere

WORST_CONDITION = 1e6  # beyond it rounding explains almost anything, and the range cannot be told from the kernel


def range_solution(matrix: Tensor, vector: Tensor, jacobian: Tensor | None = None) -> tuple[Tensor, float]:
    r"""The solution :math:`M^+ v`, and the condition number of M on its range.

    Args:
        matrix: ``(P, P)``; its symmetric part is used.
        vector: ``(P,)``.
        jacobian: ``(K, P)``; the kernel of M must lie in that of J, or else the solution depends on the coordinates.

    Returns:
        ``(P,)`` and a number from one.

    Raises:
        NotHere: the matrix is zero, its eigenvalues leave no gap between range and kernel, or its kernel moves the outputs.
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    sizes = values.abs() / values.abs().max()
    if not bool(sizes.isfinite().all()):
        raise NotHere("the matrix is zero")
    floor = len(values) * 32 * torch.finfo(values.dtype).eps
    kept = sizes > 1 / WORST_CONDITION
    if bool(((sizes > floor) & ~kept).any()):
        raise NotHere(f"its condition number on the range exceeds {WORST_CONDITION:.0e}")
    if jacobian is not None and not bool(kept.all()):
        moved = float((jacobian @ vectors[:, ~kept]).norm() / jacobian.norm())
        if moved > torch.finfo(values.dtype).eps ** 0.25:
            raise NotHere("the matrix is singular in directions that change the outputs")
    basis = vectors[:, kept]
    return basis @ ((basis.mT @ vector) / values[kept]), float(1 / sizes[kept].min())
