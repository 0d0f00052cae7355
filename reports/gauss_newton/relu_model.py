"""The nonlinear model of the source, f(x) = theta_1 relu(theta_2 x), in closed form."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.reports.gauss_newton.log_normal_regression import PRIOR_VARIANCE, Data, drawn_data, published_data

TRUTH = (2.0, 2.0)


class ReluModel(nn.Module):
    r"""The function :math:`f(x) = \theta_1 \operatorname{relu}(\theta_2 x)` of ``(N, 1)``; its parameter is theta, ``(2,)``."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        return self.theta[0] * (self.theta[1] * inputs).relu()


def relu_problem(data: Data, theta: Tensor) -> Problem:
    """The problem at parameters theta: the model with ``MSELoss``."""
    return Problem(ReluModel(theta), nn.MSELoss(), [data], "relu model", Facts(piecewise_linear=True))


def relu_data(seed: int | None) -> Data:
    """Inputs of the linear regression, targets 4 x plus its noise; None stands for the published draws."""
    inputs, targets = published_data() if seed is None else drawn_data(seed)
    noise = targets - (2.0 * inputs + 2.0)
    return inputs, TRUTH[0] * (TRUTH[1] * inputs).relu() + noise


class ReluMoments:
    r"""Objective, gradient, GGN and Hessian from two moments of the data, as all inputs are positive.

    With :math:`s = \overline{x^2}`, :math:`m = \overline{x y}`, and :math:`p = \theta_1 \theta_2` where theta_2 is positive,

    .. math::
        L = \frac{1}{2} (s p^2 - 2 m p) + \frac{\tau}{2} |\theta|^2, \quad
        G = s \begin{pmatrix} \theta_2^2 & p \\ p & \theta_1^2 \end{pmatrix}, \quad
        H = G + (s p - m) \begin{pmatrix} 0 & 1 \\ 1 & 0 \end{pmatrix}

    up to a constant and the prior's :math:`\tau I`; where theta_2 is negative only the prior is left: the plateau. The GGN has
    rank one: its kernel is :math:`(\theta_1, -\theta_2)`, the tangent of the hyperbola on which the function stays the same.

    Args:
        data: inputs, all positive, and targets.
        precision: tau, of the prior and over N.
    """

    def __init__(self, data: Data, precision: float = 1 / PRIOR_VARIANCE) -> None:
        inputs, targets = data
        self.square, self.product = float(inputs.square().mean()), float((inputs * targets).mean())
        self.constant = float(targets.square().mean()) / 2
        self.precision = precision / len(inputs)

    def objective(self, theta: Tensor) -> Tensor:
        """L at ``(..., 2)``, the constant included."""
        p = theta[..., 0] * theta[..., 1].relu()
        return self.constant + (self.square * p - 2 * self.product) * p / 2 + self.precision / 2 * theta.square().sum(-1)

    def gradient(self, theta: Tensor) -> Tensor:
        """The gradient of L: ``(..., 2)``."""
        return self._residual(theta)[..., None] * self.tangent(theta) + self.precision * theta

    def ggn(self, theta: Tensor) -> Tensor:
        """The GGN of the likelihood, without the prior: ``(..., 2, 2)``."""
        tangent = self.tangent(theta)
        return self.square * tangent[..., :, None] * tangent[..., None, :]

    def hessian(self, theta: Tensor) -> Tensor:
        """The Hessian of the likelihood, without the prior: ``(..., 2, 2)``."""
        swap = theta.new_tensor([[0.0, 1.0], [1.0, 0.0]])
        alive = (theta[..., 1] > 0).to(theta)
        return self.ggn(theta) + (alive * self._residual(theta))[..., None, None] * swap

    def tangent(self, theta: Tensor) -> Tensor:
        """The Jacobian over x: (theta_2, theta_1), or zero on the plateau: ``(..., 2)``."""
        return theta.flip(-1) * (theta[..., 1:] > 0)

    def _residual(self, theta: Tensor) -> Tensor:
        r""":math:`s p - m`, the mean of residuals times inputs."""
        return self.square * theta[..., 0] * theta[..., 1].relu() - self.product

    def natural_step(self, theta: Tensor) -> Tensor:
        """-(G + tau I)^-1 times the gradient: ``(..., 2)``."""
        damped = self.ggn(theta) + self.precision * torch.eye(2, dtype=theta.dtype, device=theta.device)
        step: Tensor = -torch.linalg.solve(damped, self.gradient(theta)[..., None])[..., 0]
        return step
