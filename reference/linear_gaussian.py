"""The maximum a posteriori of a model that is linear in its parameters, with squared error: one Newton step."""

import torch

from fishergauge.reference.dense_precision import DensePrecision
from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.gaussian_prior import GaussianPrior, PriorPrecision, prior_of
from fishergauge.reference.ggn import ggn
from fishergauge.reference.gradient import gradient
from fishergauge.reference.likelihood_scale import LikelihoodScale
from fishergauge.reference.problem import Problem


def linear_gaussian_map(
    problem: Problem, prior: PriorPrecision | GaussianPrior = 1.0, observation_variance: float | None = None
) -> Problem:
    r"""The problem at its maximum a posteriori, by one Newton step from where it stands.

    .. math:: \hat\theta = \theta - (f G + \Delta)^{-1} \big(f \nabla L + \Delta (\theta - \mu)\big), \qquad f = M / 2 \sigma^2

    Args:
        problem: squared error of outputs that are affine in the parameters.
        prior: as for :func:`~fishergauge.reference.laplace.laplace`.
        observation_variance: sigma^2; 1/2 by default.

    Returns:
        The same problem at other parameters.

    Raises:
        UnsupportedError: the loss is not squared error, or the gradient does not vanish after the step: the outputs are
            not affine in the parameters.

    Example:
        >>> ones = torch.ones(3, 1).double()
        >>> problem = Problem(torch.nn.Linear(1, 1, bias=False).double(), torch.nn.MSELoss(), [(ones, ones)])
        >>> linear_gaussian_map(problem, prior=1.0, observation_variance=1.0).vector
        tensor([0.7500], dtype=torch.float64)

    Reference:
        Rasmussen and Williams, "Gaussian processes for machine learning" (2006), eq. 2.8; Bishop, "Pattern recognition and
        machine learning" (2006), eq. 3.50 and 3.51.
    """
    scale, resolved = LikelihoodScale(problem), prior_of(problem, prior)
    if not scale.gaussian:
        raise UnsupportedError(f"{type(problem.loss).__name__} is not quadratic in the outputs; train the model instead")
    factor = scale.factor(scale.variance(observation_variance, problem))
    precision = DensePrecision(ggn(problem).dense(), factor, resolved.precision)

    def slope(at: Problem) -> torch.Tensor:
        return factor * gradient(at) + resolved.dense() @ (at.vector - resolved.mean)

    step = precision.solve(slope(problem))
    found = problem.at(problem.vector - step)
    noise = torch.finfo(step.dtype).eps ** 0.5 * precision.dense().norm() * (step.norm() + found.vector.norm())
    if not bool(slope(found).norm() <= noise):
        raise UnsupportedError("one Newton step does not reach the maximum: the outputs are not affine in the parameters")
    return found
