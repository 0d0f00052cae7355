"""A dense posterior precision, by its Cholesky factor."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.posterior_precision import PosteriorPrecision


class DensePrecision(PosteriorPrecision):
    r"""The matrix :math:`\Lambda = f C + \Delta = L L'` with the root :math:`W = L'^{-1}` of its inverse.

    The root is the inverse *transpose*: :math:`L^{-1}` has the covariance :math:`L^{-1} L'^{-1}`, another matrix.

    Args:
        matrix: C, ``(P, P)``, symmetric.
        factor: f, a scalar.
        prior: Delta, its diagonal ``(P,)`` or ``(P, P)``.

    Raises:
        ProblemError: the sum is not positive definite.

    Example:
        >>> precision = DensePrecision(torch.tensor([[3.0]]), torch.tensor(1.0), torch.tensor([1.0]))
        >>> precision.solve(torch.tensor([8.0]))
        tensor([2.])

    Reference:
        Rasmussen and Williams, "Gaussian processes for machine learning" (2006), appendix A.2.
    """

    def __init__(self, matrix: Tensor, factor: Tensor, prior: Tensor) -> None:
        super().__init__(len(matrix))
        self.matrix = factor * matrix + (prior if prior.ndim == 2 else torch.diag(prior))
        factored, info = torch.linalg.cholesky_ex(self.matrix)
        self.cholesky: Tensor = factored
        if int(info):
            smallest = float(torch.linalg.eigvalsh(self.matrix.detach())[0])
            raise ProblemError(
                f"the posterior precision is not positive definite: its smallest eigenvalue is {smallest:.3g} after the "
                "prior was added; the curvature has negative eigenvalues: raise the prior precision or take the GGN"
            )

    def dense(self) -> Tensor:
        return self.matrix

    def logdet(self) -> Tensor:
        return 2 * self.cholesky.diagonal().log().sum()

    def unwhiten(self, rows: Tensor) -> Tensor:
        self._check(rows)
        columns: Tensor = torch.linalg.solve_triangular(self.cholesky.T, rows.T, upper=True)
        return columns.T

    def project(self, rows: Tensor) -> Tensor:
        self._check(rows)
        columns: Tensor = torch.linalg.solve_triangular(self.cholesky, rows.T, upper=False)
        return columns.T

    def whiten(self, rows: Tensor) -> Tensor:
        self._check(rows)
        return rows @ self.cholesky

    def variance(self) -> Tensor:
        identity = torch.eye(self.size, dtype=self.matrix.dtype, device=self.matrix.device)
        return self.project(identity).square().sum(1)
