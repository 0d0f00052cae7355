"""Solving with a damped matrix of low rank."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def woodbury_solve(rows: Tensor, right: Tensor, damping: float) -> Tensor:
    r"""The solution of :math:`(V'V + \lambda I) x = b` by a system of the size of the rank.

    .. math:: x = \frac{1}{\lambda} \big(b - V' (\lambda I + V V')^{-1} V b\big)

    Args:
        rows: V, ``(R, P)``, such as the rows of :class:`~fishergauge.reference.gauss_newton.GaussNewton`.
        right: b, ``(P,)`` or ``(P, B)``.
        damping: lambda, positive.

    Returns:
        Shaped like ``right``. The relative error grows like the unit round-off times ``|V|^2 / lambda``.

    Raises:
        ProblemError: the damping is not positive, or shapes do not fit.

    Example:
        >>> woodbury_solve(torch.tensor([[1.0, 0.0]]), torch.tensor([4.0, 4.0]), damping=1.0)
        tensor([2., 4.])

    Reference:
        Woodbury, "Inverting modified matrices" (1950); Golub and Van Loan (2013), sec. 2.1.4.
    """
    if not damping > 0:
        raise ProblemError(f"the inverse of a low-rank matrix needs positive damping, got {damping}")
    if rows.ndim != 2 or len(right) != rows.shape[1]:
        raise ProblemError(f"rows {tuple(rows.shape)} and a right-hand side {tuple(right.shape)} do not fit")
    gram = rows @ rows.T
    gram.diagonal().add_(damping)
    columns = right.reshape(len(right), -1)
    inner = torch.cholesky_solve(rows @ columns, torch.linalg.cholesky(gram))
    return ((columns - rows.T @ inner) / damping).reshape(right.shape)
