"""Predictive distributions of a Laplace approximation: linearised in closed form, and by sampled networks."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from fishergauge.reference.bernoulli import Bernoulli
from fishergauge.reference.categorical import Categorical
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.gaussian_predictive import GaussianPredictive
from fishergauge.reference.jacobian import root_rows
from fishergauge.reference.laplace import LaplacePosterior
from fishergauge.reference.problem import Problem
from fishergauge.reference.sampled_network import accepted, outputs_at


def linearized_predictive(posterior: LaplacePosterior, inputs: Tensor) -> GaussianPredictive:
    r"""The predictive distribution of the network linearised in its parameters.

    .. math:: N\big(f(x, \hat\theta), \; J(x) \Sigma J(x)'\big)

    by the quadratic form of the posterior's structure, without a dense covariance; exact for models linear in the
    parameters.

    Args:
        posterior: over P parameters.
        inputs: ``(N, ...)``. Positions of a sample are rows of the result, in order.

    Returns:
        The Gaussian over the outputs; for observations see :meth:`GaussianPredictive.with_noise`, for classes
        :func:`~fishergauge.reference.class_probabilities.class_probabilities`.

    Raises:
        ProblemError: the model mixes the samples of a batch, or refuses the inputs.

    Example:
        >>> from fishergauge.reference.laplace import laplace
        >>> problem = Problem(nn.Linear(1, 1), nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> linearized_predictive(laplace(problem), torch.zeros(2, 1)).variance.round(decimals=4)
        tensor([[0.5294],
                [0.5294]])

    Reference:
        Immer, Korzepa and Bauer, "Improving predictions of Bayesian neural nets via local linearization", AISTATS 2021,
        sec. 3; Rasmussen and Williams, "Gaussian processes for machine learning" (2006), eq. 2.9.
    """
    likelihood = posterior.problem.likelihood
    tested = on_inputs(posterior.problem, inputs)
    covariances = [posterior.precision.quadratic(jacobian) for jacobian in _jacobians(tested)]
    mean = likelihood.split(tested.outputs).flatten(0, 1)
    return GaussianPredictive(mean, torch.cat(covariances), likelihood, posterior.observation_variance)


def joint_covariance(posterior: LaplacePosterior, inputs: Tensor) -> Tensor:
    r"""The covariance of the linearised outputs at all inputs together, :math:`J \Sigma J'` with all rows in J.

    Args:
        posterior: over P parameters.
        inputs: ``(N, ...)``.

    Returns:
        ``(N C, N C)``, indexed by ``n C + c``.

    Raises:
        ProblemError: as :func:`linearized_predictive`.
    """
    return posterior.precision.quadratic(torch.cat(list(_jacobians(on_inputs(posterior.problem, inputs)))).flatten(0, 1))


def linearized_outputs(posterior: LaplacePosterior, inputs: Tensor, samples: Tensor) -> Tensor:
    r"""Outputs of the linearised network at sampled parameters, :math:`f(x, \hat\theta) + J(x) (\theta_s - \hat\theta)`.

    Args:
        posterior: around whose mean the network is linearised.
        inputs: ``(N, ...)``.
        samples: theta, ``(S, P)``.

    Returns:
        ``(S, N, C)``.

    Raises:
        ProblemError: the samples do not fit, or as :func:`linearized_predictive`.
    """
    if samples.ndim != 2 or samples.shape[1] != len(posterior.mean):
        raise ProblemError(f"expected samples (S, {len(posterior.mean)}), got {tuple(samples.shape)}")
    tested = on_inputs(posterior.problem, inputs)
    jacobian = torch.cat(list(_jacobians(tested)))
    mean = posterior.problem.likelihood.split(tested.outputs).flatten(0, 1)
    return mean + torch.einsum("ncp,sp->snc", jacobian, samples - posterior.mean)


def sampled_predictive(posterior: LaplacePosterior, inputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    r"""Outputs of the network itself at parameters drawn from the posterior, :math:`f(x, \theta_s)`.

    The predictive distribution is their mixture: average the outputs of squared error, and the *probabilities* of class
    labels, not the logits.

    Args:
        posterior: to draw from.
        inputs: ``(N, ...)``.
        draws: S.
        generator: of the random numbers.

    Returns:
        ``(S, N, C)``, with the shape of the model's outputs behind S.

    Raises:
        ProblemError: there are no draws, no generator on the device, or the model refuses the inputs.

    Example:
        >>> from fishergauge.reference.laplace import laplace
        >>> problem = Problem(nn.Linear(1, 1), nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> sampled_predictive(laplace(problem), torch.zeros(2, 1), 3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2, 1])

    Reference:
        Ritter, Botev and Barber, "A scalable Laplace approximation for neural networks", ICLR 2018, sec. 3.
    """
    return outputs_at(posterior.problem, posterior.sample(draws, generator), inputs)


def on_inputs(problem: Problem, inputs: Tensor) -> Problem:
    """The same model on other inputs, with placeholders for the labels.

    Raises:
        ProblemError: the model refuses the inputs, or as :class:`Problem`.
    """
    with torch.no_grad(), differentiable_attention():
        outputs: Tensor = accepted(problem.model, inputs).detach()
    loss: nn.Module = nn.MSELoss(reduction="sum")
    targets = outputs
    if isinstance(problem.likelihood, Categorical):
        loss = nn.CrossEntropyLoss(reduction="sum")
        targets = torch.zeros(len(outputs), *outputs.shape[2:], dtype=torch.long, device=outputs.device)
    elif isinstance(problem.likelihood, Bernoulli):
        loss, targets = nn.BCEWithLogitsLoss(reduction="sum"), torch.zeros_like(outputs)
    return replace(problem, loss=loss, batches=[(inputs, targets)])


def _jacobians(problem: Problem) -> Iterator[Tensor]:
    """The Jacobians of the terms, a chunk of samples at a time: ``(n T, C, P)``."""
    outputs = problem.likelihood.split(problem.outputs)
    width = outputs.shape[-1]
    identity = torch.eye(width, dtype=outputs.dtype, device=outputs.device)
    for rows in root_rows(problem, outputs, identity.expand(*outputs.shape, width)):
        yield rows.reshape(-1, width, problem.num_parameters)
