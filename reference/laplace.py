"""The Laplace approximation: a Gaussian posterior over the parameters from a curvature matrix and a prior."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.gaussian_prior import GaussianPrior, ParameterPrior, PriorPrecision, prior_of
from fishergauge.reference.laplace_evidence import EvidenceGradient, LaplaceEvidence
from fishergauge.reference.likelihood_scale import LikelihoodScale
from fishergauge.reference.posterior_precision import PosteriorPrecision
from fishergauge.reference.posterior_structure import Joined, Structure, joined
from fishergauge.reference.problem import Problem
from fishergauge.reference.standard_normal import standard_normal


def laplace(
    problem: Problem,
    curvature: Any = "ggn",
    structure: Structure | None = None,
    prior: PriorPrecision | GaussianPrior = 1.0,
    observation_variance: float | None = None,
    rank: int | None = None,
) -> "LaplacePosterior":
    r"""The Laplace approximation of the posterior at the parameters of a problem.

    .. math:: N\big(\hat\theta, (f C + \Delta)^{-1}\big)

    with the curvature matrix C of the objective :math:`L = \frac1M \sum_k \ell_k` and the factor f that makes it one of the
    negative log-likelihood of all data: M for class labels, :math:`M / 2 \sigma^2` for ``MSELoss``, whose terms are
    :math:`|f - y|^2`. So the reductions ``mean`` and ``sum`` give the same posterior. The named empirical Fisher is that of
    the likelihood, quadratic in its gradients: its factor is :math:`M / (2 \sigma^2)^2`. A matrix takes the linear one.

    Args:
        problem: at the maximum a posteriori, which is the mean of the posterior whether it is one or not; train first, or
            see :func:`~fishergauge.reference.linear_gaussian.linear_gaussian_map`. The posterior keeps a copy.
        curvature: C: ``"ggn"``, ``"fisher"``, ``"empirical-fisher"``, or any matrix ``(P, P)`` in the scale of the
            objective: a tensor, a :class:`~fishergauge.reference.Curvature`, or anything with ``shape`` and ``@``.
        structure: ``"full"``; ``"block-diagonal"``, one block a layer; ``"kronecker"``, by K-FAC with joint bias where the
            curvature is a name, or by the factors of a K-FAC, EKFAC or Shampoo object; ``"diagonal"``; ``"low-rank"``, the
            leading eigenpairs. By default ``"kronecker"`` for such objects, else ``"full"``.
        prior: Delta, see :class:`~fishergauge.reference.gaussian_prior.GaussianPrior`; a number, a mapping by layer or one
            number a layer, ``(P,)``, or ``(P, P)`` (structure ``"full"`` alone).
        observation_variance: sigma^2 of ``MSELoss``, in squared units of the targets; 1/2 by default, where L is the
            negative log-likelihood itself. None for other losses.
        rank: number of eigenpairs of the low-rank structure; all above rounding by default.

    Returns:
        The posterior.

    Raises:
        ProblemError: prior, variance, matrix or rank do not fit, or the precision is not positive definite.
        UnsupportedError: the structure cannot be had from this matrix, or cannot take this prior: a diagonal prior is not
            diagonal in the eigenbasis of a Kronecker block.
        UndefinedError: the Fisher of an objective that is no negative log-likelihood.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> laplace(problem, prior=2.0, observation_variance=1.0).precision.dense().round()
        tensor([[6., 4.],
                [4., 6.]])

    Reference:
        MacKay, "A practical Bayesian framework for backpropagation networks", Neural Computation 4 (1992); Daxberger et
        al., "Laplace redux: effortless Bayesian deep learning", NeurIPS 2021, sec. 2 and 3.
    """
    problem = problem.at(problem.vector)  # a copy: the posterior stays where it was made when training goes on
    scale = LikelihoodScale(problem, power=2 if isinstance(curvature, str) and curvature == "empirical-fisher" else 1)
    parameter_prior = prior_of(problem, prior)
    noise = scale.variance(observation_variance, problem)
    taken, join = joined(problem, curvature, structure, rank, parameter_prior)
    return LaplacePosterior(problem, taken, parameter_prior, noise, scale, join)


@dataclass(frozen=True, eq=False)
class LaplacePosterior:
    """A Gaussian over the parameters of a problem; see :func:`laplace`.

    Args:
        problem: whose parameters are the mean.
        structure: of the precision.
        prior: over the parameters.
        noise: the observation variance sigma^2, a scalar; None for class labels.
        scale: of the likelihood.
        join: the precision as a function of factor and prior.
    """

    problem: Problem
    structure: Structure
    prior: ParameterPrior
    noise: Tensor | None
    scale: LikelihoodScale = field(repr=False)
    join: Joined = field(repr=False)

    def __post_init__(self) -> None:
        _ = self.precision  # refuses what is not positive definite here, and not when it is first used

    @cached_property
    def mean(self) -> Tensor:
        """The mean, ``(P,)``: the parameters of the problem."""
        return self.problem.vector

    @cached_property
    def precision(self) -> PosteriorPrecision:
        """The precision: ``dense()``, ``logdet()``, ``solve(b)``, ``variance()``, ``quadratic(J)``, ``unwhiten(z)``."""
        return self.join(self.scale.factor(self.noise), self.prior.precision)

    @property
    def observation_variance(self) -> float | None:
        """sigma^2; None for class labels."""
        return None if self.noise is None else float(self.noise)

    def covariance(self) -> Tensor:
        """The covariance, ``(P, P)``."""
        return self.precision.covariance()

    def sample(self, draws: int, generator: torch.Generator) -> Tensor:
        """Parameters drawn from the posterior, ``(S, P)``: the mean plus W z with W W' the covariance."""
        return self.mean + self.precision.unwhiten(standard_normal(draws, self.mean, generator))

    def at(
        self, prior: PriorPrecision | GaussianPrior | None = None, observation_variance: float | None = None
    ) -> "LaplacePosterior":
        """The posterior at other hyper-parameters, None for as they are; the curvature does not depend on them and is kept.

        Raises:
            ProblemError: as :func:`laplace`.
            UnsupportedError: a diagonal prior for a Kronecker structure.
        """
        resolved = self.prior if prior is None else prior_of(self.problem, prior)
        if self.structure == "kronecker" and resolved.kind == "diagonal":
            raise UnsupportedError("a diagonal prior cannot be added to a Kronecker structure exactly; give one a layer")
        noise = self.noise if observation_variance is None else self.scale.variance(observation_variance, self.problem)
        return replace(self, prior=resolved, noise=noise)

    @property
    def evidence(self) -> LaplaceEvidence:
        """The evidence as a function of the hyper-parameters.

        Raises:
            UndefinedError: the objective is no negative log-likelihood.
        """
        self.problem.likelihood.require_likelihood("the evidence", self.problem.targets)
        return LaplaceEvidence(self.scale, self.prior, self.join, self.mean)

    def log_evidence(self) -> Tensor:
        """The log evidence at the hyper-parameters of the posterior: a scalar."""
        return self.evidence.of(self.prior.values, self.noise)

    def log_evidence_at(self, log_prior_precision: Tensor, log_observation_variance: Tensor | None = None) -> Tensor:
        """The log evidence at other hyper-parameters, differentiable in both: a scalar; see :class:`LaplaceEvidence`."""
        return self.evidence.at(log_prior_precision, log_observation_variance)

    def log_evidence_gradient(self) -> EvidenceGradient:
        """The gradient in log prior precision and log observation variance at those of the posterior, in closed form."""
        return self.evidence.gradient(self.precision, self.noise)
