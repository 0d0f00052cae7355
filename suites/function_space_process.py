"""Gaussian-process regression in function space: the prior over functions of a model that is linear in its parameters."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.func import functional_call, vmap

from fishergauge.reference import Problem
from fishergauge.suites.joint_density import log_density


@dataclass(frozen=True, eq=False)
class FunctionSpaceProcess:
    r"""The joint Gaussian of the outputs at training and new inputs, conditioned on noisy training outputs.

    .. math:: f \sim GP\big(f_\mu(x), \; k(x, x') = J(x) \Delta^{-1} J(x')'\big)

    with the columns of J from the outputs at the unit vectors less those at zero: nothing is differentiated. There is no
    posterior over parameters, and no precision: the covariance of all outputs is formed, and rows and columns eliminated.

    Args:
        problem: squared error, the outputs affine in the parameters.
        prior_covariance: Delta^-1, ``(P, P)``.
        prior_mean: mu, ``(P,)``.
        variance: sigma^2 of the noise.

    Reference:
        Rasmussen and Williams, "Gaussian processes for machine learning" (2006), eq. 2.21 to 2.24 and 2.30.
    """

    problem: Problem
    prior_covariance: Tensor
    prior_mean: Tensor
    variance: float

    def _outputs(self, vector: Tensor, inputs: Tensor) -> Tensor:
        """The outputs at a parameter vector, ``(n,)``."""
        outputs: Tensor = functional_call(self.problem.model, self.problem.unflatten(vector), (inputs,))
        return outputs.flatten()

    def prior_over_outputs(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance before any data: ``(n,)`` and ``(n, n)``."""
        size = len(self.prior_mean)
        units = torch.cat(
            [torch.eye(size, dtype=inputs.dtype), torch.zeros(1, size, dtype=inputs.dtype), self.prior_mean[None]]
        )
        outputs = vmap(lambda vector: self._outputs(vector, inputs))(units).detach()
        jacobian, mean = (outputs[:size] - outputs[size]).T, outputs[-1]
        return mean, jacobian @ self.prior_covariance @ jacobian.T

    def observations(self) -> MultivariateNormal:
        """The distribution of the training targets, noise included."""
        mean, kernel = self.prior_over_outputs(self.problem.inputs)
        return MultivariateNormal(mean, kernel + self.variance * torch.eye(len(mean), dtype=mean.dtype))

    def log_evidence(self) -> Tensor:
        """The log-density of the training targets, a scalar."""
        return log_density(self.observations(), self.problem.targets.flatten())

    def predictive(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the outputs at new inputs, without noise: ``(n,)`` and ``(n, n)``."""
        mean, kernel = self.prior_over_outputs(torch.cat([self.problem.inputs, inputs]))
        targets = self.problem.targets.flatten()
        known = len(targets)
        gram = kernel[:known, :known] + self.variance * torch.eye(known, dtype=kernel.dtype)
        weights = torch.linalg.solve(gram, kernel[:known, known:]).T
        return mean[known:] + weights @ (targets - mean[:known]), kernel[known:, known:] - weights @ kernel[:known, known:]

    def curvature_scale(self) -> float:
        r"""A bound of the evidence's fifth derivative in any logarithmic hyper-parameter.

        With every hyper-parameter turned by less than one radian in the complex plane the real part of the covariance of
        the observations keeps a share :math:`\cos 1 / e`, so that the evidence is bounded in the unit disc by
        :math:`(e / \cos 1) (n + r' K^{-1} r) / 2` up to its constant, and by Cauchy's estimate the derivative by 5! times it.
        """
        observations = self.observations()
        residual = self.problem.targets.flatten() - observations.mean
        size = len(residual) + float(residual @ torch.linalg.solve(observations.covariance_matrix, residual))
        return math.factorial(5) * math.e / math.cos(1) * size / 2
