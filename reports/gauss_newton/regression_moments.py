"""Gradient, Hessian and empirical Fisher of a linear regression at any parameters from fixed moments of the data."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fishergauge.reports.gauss_newton.log_normal_regression import TRUTH, Data, input_moment


@dataclass(frozen=True, eq=False)
class RegressionMoments:
    r"""Second and fourth moments of :math:`z = (x, 1, y)`, from which everything follows at a cost that is free of N.

    With :math:`u = (\theta, -1)` a residual is :math:`r = z'u` and the objective, the negative logarithm of likelihood and
    prior over N, up to constants, is

    .. math:: L(\theta) = \frac{1}{2 N} \sum_n r_n^2 + \frac{\tau}{2} |\theta|^2, \quad \tau = \frac{1}{s_0^2 N}

    Args:
        second: :math:`\frac1N \sum z z'`, ``(..., 3, 3)``; leading axes are data sets.
        fourth: :math:`\frac1N \sum z z' \otimes \bar x \bar x'` with :math:`\bar x = (x, 1)`, ``(..., 3, 3, 2, 2)``.
        precision: tau, of the prior and over N; zero for no prior. ``(..., 1, 1)`` where data sets differ in it.

    Reference:
        Kunstner, Balles and Hennig, "Limitations of the empirical Fisher approximation for natural gradient descent",
        NeurIPS 2019, sec. 3 and appendix D.
    """

    second: Tensor
    fourth: Tensor
    precision: float | Tensor = 0.0

    @property
    def hessian(self) -> Tensor:
        r"""Of the likelihood, :math:`\frac1N \sum \bar x \bar x'`, ``(..., 2, 2)``; it is the GGN, too."""
        return self.second[..., :2, :2]

    @property
    def posterior_hessian(self) -> Tensor:
        r"""Of the objective, :math:`\frac1N \sum \bar x \bar x' + \tau I`."""
        return self.hessian + self.precision * torch.eye(2, dtype=self.second.dtype, device=self.second.device)

    @property
    def optimum(self) -> Tensor:
        """The minimiser of the objective, ``(..., 2)``."""
        optimum: Tensor = torch.linalg.solve(self.posterior_hessian, self.second[..., :2, 2:])
        return optimum[..., 0]

    def gradient(self, parameters: Tensor) -> Tensor:
        r"""Of the objective at ``(..., S, 2)``: :math:`\frac1N \sum r_n \bar x_n + \tau \theta`."""
        return extended(parameters) @ self.second[..., :, :2] + self.precision * parameters

    def empirical_fisher(self, parameters: Tensor) -> Tensor:
        r"""Of the likelihood at ``(..., S, 2)``: :math:`\frac1N \sum r_n^2 \bar x_n \bar x_n'`, ``(..., S, 2, 2)``."""
        u = extended(parameters)
        products = (u[..., :, None] * u[..., None, :]).flatten(-2)
        return (products @ self._table).reshape(*parameters.shape, 2)

    @cached_property
    def _table(self) -> Tensor:
        """The fourth moments as a matrix, ``(..., 9, 4)``."""
        return self.fourth.flatten(-4, -3).flatten(-2)

    def likelihood_loss(self, parameters: Tensor) -> Tensor:
        r"""Of the likelihood at ``(..., S, 2)``: :math:`\frac{1}{2 N} \sum r_n^2`."""
        u = extended(parameters)
        return (u @ self.second * u).sum(-1) / 2


def extended(parameters: Tensor) -> Tensor:
    """The parameters with -1 behind them, ``(..., 3)``: u, of which residuals are products."""
    return torch.cat([parameters, -torch.ones_like(parameters[..., :1])], -1)


def moments_of(data: Data, precision: float | Tensor = 0.0) -> RegressionMoments:
    """The moments of inputs and targets, each ``(N, 1)`` or with leading axes that count data sets.

    Args:
        data: inputs and targets.
        precision: of the prior, over N.
    """
    inputs, targets = data
    z = torch.cat([inputs, torch.ones_like(inputs), targets], -1)
    count = z.shape[-2]
    squares = (z[..., :, None] * z[..., None, :]).flatten(-2)
    products = (z[..., :2, None] * z[..., None, :2]).flatten(-2)
    fourth = (squares.mT @ products / count).reshape(*z.shape[:-2], 3, 3, 2, 2)
    return RegressionMoments(z.mT @ z / count, fourth, precision)


def population_moments(noise: float = 1.0) -> RegressionMoments:
    r"""The same for infinitely many samples: moments of the log-normal, and of :math:`y = 2 x + 2 + \sigma e`.

    Args:
        noise: sigma.
    """
    plain, once, twice = (
        torch.tensor([[input_moment(2 + k), input_moment(1 + k)], [input_moment(1 + k), input_moment(k)]], dtype=torch.float64)
        for k in range(3)
    )  # of x^k times the products of (x, 1)
    # z is a linear map of (x, 1, e), and e is independent of x
    to_z = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [*TRUTH, noise]], dtype=torch.float64)
    second, fourth = torch.zeros(3, 3).double(), torch.zeros(3, 3, 2, 2).double()
    second[:2, :2], second[2, 2] = plain, 1
    fourth[0, 0], fourth[0, 1], fourth[1, 0], fourth[1, 1], fourth[2, 2] = twice, once, once, plain, plain
    return RegressionMoments(to_z @ second @ to_z.T, torch.einsum("ai,bj,ijcd->abcd", to_z, to_z, fourth))
