"""Independent Gaussians over the outputs of a model at several inputs."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError, UndefinedError
from fishergauge.reference.likelihood import Likelihood


@dataclass(frozen=True, eq=False)
class GaussianPredictive:
    r"""Independent Gaussians over the outputs of N inputs.

    Args:
        mean: ``(N, C)``: function values of squared error, logits of class labels.
        covariance: ``(N, C, C)``, in squared units of the outputs.
        likelihood: of the problem.
        observation_variance: sigma^2 of squared error; None for class labels.
    """

    mean: Tensor
    covariance: Tensor
    likelihood: Likelihood
    observation_variance: float | None = None

    @property
    def variance(self) -> Tensor:
        """The variance of each output, ``(N, C)``."""
        return self.covariance.diagonal(dim1=-2, dim2=-1)

    def with_noise(self) -> "GaussianPredictive":
        r"""The distribution of new observations, of covariance :math:`J \Sigma J' + \sigma^2 I`.

        Raises:
            UndefinedError: the labels are classes, or the noise was added already.
        """
        if self.observation_variance is None:
            raise UndefinedError(
                "there is no observation noise to add: class labels have class_probabilities, and noise is added once"
            )
        noise = self.observation_variance * torch.eye(self.mean.shape[-1], dtype=self.mean.dtype, device=self.mean.device)
        return replace(self, covariance=self.covariance + noise, observation_variance=None)

    def log_density(self, values: Tensor) -> Tensor:
        """The log-density of each row of values ``(N, C)``: ``(N,)``.

        Raises:
            ProblemError: the shape of the values differs from that of the mean, or a covariance is singular.
        """
        if values.shape != self.mean.shape:
            raise ProblemError(f"expected values {tuple(self.mean.shape)}, got {tuple(values.shape)}")
        root, info = torch.linalg.cholesky_ex(self.covariance)
        if bool(info.any()):
            raise ProblemError("a covariance is singular, so that there is no density; add the noise with with_noise()")
        offset = (values - self.mean)[..., None]
        whitened: Tensor = torch.linalg.solve_triangular(root, offset, upper=False)[..., 0]
        logdet = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        density: Tensor = -(whitened.square().sum(-1) + logdet + self.mean.shape[-1] * math.log(2 * math.pi)) / 2
        return density
