"""Preconditioned descent on a quadratic in closed form: any number of steps at the cost of one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference import ConvergenceError


@dataclass(frozen=True, eq=False)
class LinearDescent:
    r"""Steps :math:`\theta \leftarrow \theta - \eta P^{-1} H (\theta - \theta^*)` by the eigenpairs of :math:`P^{-1} H`.

    .. math:: \theta_t - \theta^* = V \, \mathrm{diag}(1 - \eta \lambda_i)^t \, V^{-1} (\theta_0 - \theta^*)

    Args:
        rates: the eigenvalues lambda, ``(..., P)``; real, as both matrices are symmetric and P is positive definite.
        vectors: V, ``(..., P, P)``.
        inverse: of V.
        length: eta.
    """

    rates: Tensor
    vectors: Tensor
    inverse: Tensor
    length: float

    def deviations(self, start: Tensor, steps: Tensor) -> Tensor:
        """What is left of the deviation from the optimum: ``(..., S, P)`` after T numbers of steps, ``(..., T, S, P)``."""
        factors = (1 - self.length * self.rates[..., None, :]) ** steps[:, None]
        modes = start @ self.inverse.mT
        return (factors[..., :, None, :] * modes[..., None, :, :]) @ self.vectors[..., None, :, :].mT

    def steps_to(self, start: Tensor, tolerance: float) -> Tensor:
        """The first number of steps after which the deviation ``(..., S, P)`` is no longer than ``tolerance``: ``(..., S)``.

        Found by doubling and bisection, so that lengths must fall from step to step, at least beyond the first ones.

        Raises:
            ConvergenceError: the descent does not converge.
        """
        if not bool(((1 - self.length * self.rates).abs() < 1).all()):
            raise ConvergenceError("the descent does not converge: a step multiplies some mode by one or more; shorten it")
        arrived = start.norm(dim=-1) <= tolerance
        low, high = torch.zeros_like(arrived, dtype=torch.long), torch.ones_like(arrived, dtype=torch.long)
        while bool((far := self._length_after(start, high) > tolerance).any()):
            low, high = torch.where(far, high, low), torch.where(far, 2 * high, high)
        while bool((high - low > 1).any()):
            middle = (low + high) // 2
            far = self._length_after(start, middle) > tolerance
            low, high = torch.where(far, middle, low), torch.where(far, high, middle)
        return torch.where(arrived, 0, high)

    def _length_after(self, start: Tensor, steps: Tensor) -> Tensor:
        """Lengths of the deviations, each after its own number of steps."""
        modes = (1 - self.length * self.rates[..., None, :]) ** steps[..., None] * (start @ self.inverse.mT)
        lengths: Tensor = (modes @ self.vectors.mT).norm(dim=-1)
        return lengths


def linear_descent(preconditioner: Tensor, hessian: Tensor, length: float) -> LinearDescent:
    r"""The descent of a quadratic with Hessian H, preconditioned by P.

    Args:
        preconditioner: P, ``(..., P, P)``, symmetric and positive definite.
        hessian: H, ``(..., P, P)``, symmetric.
        length: eta.

    Returns:
        The descent.

    Example:
        >>> descent = linear_descent(torch.eye(1), torch.tensor([[0.5]]), 1.0)
        >>> descent.deviations(torch.tensor([[8.0]]), torch.tensor([0, 1, 3])).flatten().tolist()
        [8.0, 4.0, 1.0]
    """
    root = torch.linalg.cholesky(preconditioner)
    half = torch.linalg.solve_triangular(root, hessian, upper=False)
    symmetric = torch.linalg.solve_triangular(root, half.mT, upper=False)
    rates, basis = torch.linalg.eigh((symmetric + symmetric.mT) / 2)
    vectors = torch.linalg.solve_triangular(root.mT, basis, upper=True)
    return LinearDescent(rates, vectors, basis.mT @ root.mT, length)
