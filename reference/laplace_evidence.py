"""The evidence of a Laplace approximation, differentiable in its hyper-parameters, and its gradient in closed form."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.gaussian_prior import ParameterPrior
from fishergauge.reference.likelihood_scale import LikelihoodScale
from fishergauge.reference.posterior_precision import PosteriorPrecision
from fishergauge.reference.posterior_structure import Joined


class EvidenceGradient(NamedTuple):
    """The gradient of the log evidence.

    Args:
        log_prior_precision: shaped like the hyper-parameters of the prior: ``()``, ``(L,)`` or ``(P,)``.
        log_observation_variance: a scalar; None for class labels.
    """

    log_prior_precision: Tensor
    log_observation_variance: Tensor | None


@dataclass(frozen=True, eq=False)
class LaplaceEvidence:
    r"""The log evidence of a Laplace approximation at fixed parameters and curvature.

    .. math::
        \log p(D) \approx \log p(D | \hat\theta, \sigma^2) + \log p(\hat\theta | \Delta)
            + \tfrac P2 \log 2 \pi - \tfrac12 \log\det(f(\sigma^2) C + \Delta)

    Parameters and matrix stay as they are when the hyper-parameters vary. At the maximum a posteriori the first two terms
    are stationary in the parameters, so that in a linear-Gaussian model, where C is constant, the gradient is that of the
    exact evidence; elsewhere it leaves out how the determinant moves with the parameters.

    Args:
        scale: of the likelihood.
        prior: over the parameters.
        join: the precision as a function of factor and prior.
        vector: the parameters, ``(P,)``.

    Reference:
        MacKay, "Bayesian interpolation", Neural Computation 4 (1992), sec. 4; Immer et al., "Scalable marginal
        likelihood estimation for model selection in deep learning", ICML 2021, sec. 3.
    """

    scale: LikelihoodScale
    prior: ParameterPrior
    join: Joined
    vector: Tensor

    def at(self, log_prior_precision: Tensor, log_observation_variance: Tensor | None = None) -> Tensor:
        """The log evidence at these hyper-parameters: a scalar that can be differentiated in both.

        Raises:
            ProblemError: a shape differs from that of the prior, or there is no such variance, or it is missing.
            UnsupportedError: the prior is dense.
        """
        if (log_observation_variance is not None) != self.scale.gaussian:
            kind = "squared error needs" if self.scale.gaussian else "class labels have no"
            raise ProblemError(f"{kind} an observation variance")
        if self.prior.kind == "dense":
            raise UnsupportedError(
                "a dense prior has no logarithms of its entries as hyper-parameters; take log_evidence() of posterior.at(prior)"
            )
        if log_observation_variance is not None and log_observation_variance.ndim > 0:
            raise ProblemError(f"the log observation variance is a scalar, got shape {tuple(log_observation_variance.shape)}")
        variance = None if log_observation_variance is None else log_observation_variance.exp()
        return self.of(log_prior_precision.exp(), variance)

    def of(self, values: Tensor, variance: Tensor | None) -> Tensor:
        """The log evidence at hyper-parameters of the prior and a variance, neither as a logarithm: a scalar."""
        precision = self.join(self.scale.factor(variance), self.prior.spread(values))
        return self.scale.log_likelihood(variance) + self.prior.log_ratio(self.vector, precision.logdet(), values)

    def gradient(self, precision: PosteriorPrecision, variance: Tensor | None) -> EvidenceGradient:
        r"""The gradient in the logarithms, in closed form.

        .. math::
            \frac{\partial}{\partial \log \delta_g} = \tfrac12 \Big(P_g - \delta_g |\hat\theta_g - \mu_g|^2
                - \delta_g \operatorname{tr} \Sigma_{gg}\Big), \qquad
            \frac{\partial}{\partial \log \sigma^2} = \frac{M L}{2 \sigma^2} - \frac{K C}{2} + \frac{r \gamma}{2}

        with the effective number of parameters :math:`\gamma = P - \operatorname{tr} \Delta \Sigma` and r the power of
        :math:`1 / \sigma^2` in the precision: one, and two for the empirical Fisher.

        Args:
            precision: at the hyper-parameters.
            variance: the observation variance there.

        Returns:
            Both gradients.

        Reference:
            MacKay, "Bayesian interpolation", Neural Computation 4 (1992), sec. 4.
        """
        diagonal, offset = self.prior.diagonal, self.vector - self.prior.mean
        shrunk = diagonal * precision.variance()
        by_prior = self.prior.summed(1 - diagonal * offset.square() - shrunk) / 2
        if variance is None:
            return EvidenceGradient(by_prior, None)
        effective = (1 - shrunk).sum()
        by_noise = self.scale.total / (2 * variance) - self.scale.entries / 2 + self.scale.power * effective / 2
        return EvidenceGradient(by_prior, by_noise)
