"""Class probabilities under a Gaussian over logits: by Monte Carlo, and by the probit approximation."""

import math
from typing import Literal

import torch
from torch import Tensor

from fishergauge.reference.bernoulli import Bernoulli
from fishergauge.reference.categorical import Categorical
from fishergauge.reference.errors import ProblemError, UndefinedError
from fishergauge.reference.gaussian_predictive import GaussianPredictive
from fishergauge.reference.likelihood import Likelihood
from fishergauge.reference.standard_normal import standard_normal

Method = Literal["probit", "monte-carlo"]


def class_probabilities(
    predictive: GaussianPredictive,
    method: Method = "probit",
    draws: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""The expected probabilities :math:`\mathrm E_{z \sim N(\mu, S)}[p(y | z)]`.

    Probit, with the *variances* :math:`s_c^2 = S_{cc}`:

    .. math::
        \sigma\Big(\frac{\mu}{\sqrt{1 + \pi s^2 / 8}}\Big) \text{ for two classes by one logit}, \qquad
        \operatorname{softmax}_c\Big(\frac{\mu_c}{\sqrt{1 + \pi s_c^2 / 8}}\Big) \text{ for several.}

    The first is within 0.036 of the integral, twice the largest distance of :math:`\sigma(z)` from the cumulative normal
    :math:`\Phi(\sqrt{\pi/8} z)`. The second ignores correlations, and is changed by a shift of all logits together, which
    the probabilities are not.

    Args:
        predictive: of the logits.
        method: ``"probit"`` or ``"monte-carlo"``.
        draws: number of samples of Monte Carlo.
        generator: of its random numbers.

    Returns:
        ``(N, C)``: of each class, or of a 1 for each binary label.

    Raises:
        UndefinedError: the likelihood has no classes.
        ProblemError: the method does not exist, or Monte Carlo lacks draws or a generator.

    Example:
        >>> one = torch.ones(1, 1)
        >>> logit = GaussianPredictive(one, 8 / torch.pi * one[None], Bernoulli(torch.nn.BCEWithLogitsLoss()))
        >>> class_probabilities(logit).sub((one / 2**0.5).sigmoid()).abs() < 1e-6
        tensor([[True]])

    Reference:
        MacKay, "The evidence framework applied to classification networks", Neural Computation 4 (1992); several
        classes: Gibbs, "Bayesian Gaussian processes for regression and classification", thesis (1997), chapter 5;
        Daxberger et al., "Laplace redux", NeurIPS 2021, appendix B.
    """
    likelihood = predictive.likelihood
    if method == "probit":
        return probabilities(likelihood, predictive.mean * torch.rsqrt(1 + math.pi / 8 * predictive.variance))
    if method != "monte-carlo":
        raise ProblemError(f"method is 'probit' or 'monte-carlo', not {method!r}")
    if draws is None or generator is None:
        raise ProblemError("Monte Carlo needs draws and a generator")
    return probabilities(likelihood, sampled_logits(predictive, draws, generator)).mean(0)


def probabilities(likelihood: Likelihood, logits: Tensor) -> Tensor:
    """The probabilities of classes, or of a 1 for each binary label, at logits ``(..., C)``.

    Raises:
        UndefinedError: the likelihood has no classes.
    """
    if isinstance(likelihood, Categorical):
        return logits.softmax(-1)
    if isinstance(likelihood, Bernoulli):
        return logits.sigmoid()
    raise UndefinedError("squared error has no classes; its predictive distribution is the Gaussian with_noise()")


def sampled_logits(predictive: GaussianPredictive, draws: int, generator: torch.Generator) -> Tensor:
    """Outputs drawn from the Gaussians, ``(S, N, C)``; a covariance may be singular."""
    values, vectors = torch.linalg.eigh(predictive.covariance)
    root = vectors * values.clamp(min=0).sqrt()[:, None, :]
    mean = predictive.mean
    return mean + torch.einsum("ncr,snr->snc", root, standard_normal(draws, mean, generator))
