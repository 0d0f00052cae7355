"""Bayesian linear regression in closed form, from the design matrix alone: the conjugate posterior of a Gaussian prior."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ConjugateBayes:
    r"""The posterior of :math:`\theta \sim N(\mu, \Delta^{-1})` after :math:`y \sim N(X \theta, \sigma^2 I)`.

    .. math::
        \Lambda = X'X / \sigma^2 + \Delta, \qquad m = \Lambda^{-1} (X'y / \sigma^2 + \Delta \mu)

    by completing the square. Nothing of a model, a loss or a derivative is used.

    Args:
        design: X, ``(n, P)``.
        targets: y, less what the model adds to X theta: ``(n,)``.
        prior: Delta, ``(P, P)``.
        prior_mean: mu, ``(P,)``.
        variance: sigma^2.

    Example:
        >>> one = torch.ones(1, 1).double()
        >>> ConjugateBayes(one, one[0], 4 * one, 0 * one[0], 1.0).mean
        tensor([0.2000], dtype=torch.float64)

    Reference:
        Bishop, "Pattern recognition and machine learning" (2006), eq. 3.50, 3.51, 3.58 and 3.86.
    """

    design: Tensor
    targets: Tensor
    prior: Tensor
    prior_mean: Tensor
    variance: float

    @property
    def precision(self) -> Tensor:
        """Lambda, ``(P, P)``."""
        return self.design.T @ self.design / self.variance + self.prior

    @property
    def covariance(self) -> Tensor:
        """Lambda^-1, ``(P, P)``."""
        inverse: Tensor = torch.linalg.inv(self.precision)
        return inverse

    @property
    def mean(self) -> Tensor:
        """m, ``(P,)``."""
        mean: Tensor = torch.linalg.solve(self.precision, self._linear)
        return mean

    @property
    def _linear(self) -> Tensor:
        """X'y / sigma^2 + Delta mu, ``(P,)``."""
        return self.design.T @ self.targets / self.variance + self.prior @ self.prior_mean

    def log_evidence(self) -> Tensor:
        r"""The constant of the completed square, a scalar.

        .. math::
            -\tfrac n2 \log 2 \pi \sigma^2 + \tfrac12 \log\det \Delta - \tfrac12 \log\det \Lambda
            - \tfrac12 \big(y'y / \sigma^2 + \mu' \Delta \mu - m' \Lambda m\big)
        """
        squares = self.targets @ self.targets / self.variance + self.prior_mean @ self.prior @ self.prior_mean
        left = squares - self.mean @ self._linear
        logdets = torch.logdet(self.prior) - torch.logdet(self.precision)
        result: Tensor = (logdets - left - len(self.targets) * math.log(2 * math.pi * self.variance)) / 2
        return result

    def predictive(self, design: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of X theta at the rows of another design matrix, without noise: ``(n,)`` and ``(n, n)``."""
        return design @ self.mean, design @ self.covariance @ design.T
