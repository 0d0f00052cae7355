r"""The second route to the reference quantities: BackPACK, converted to this project's conventions.

It shares no derivative with the first route. BackPACK differentiates module by module, by formulas of its
own, what stands in ``nn.Sequential``; whatever it does not support, or gets wrong, is refused with
:class:`UnsupportedError`. The two products are by double backward and take any model and loss.

All batches are evaluated as one, so that scales are those of the objective. Matrices are dense: memory is
that of C N P numbers (BackPACK's square root of the GGN) and more, so that this route is for small problems.
BackPACK forms 1 - p and 1 - tanh^2 by subtraction: where outputs are so confident, or activations so saturated,
that these are near the unit round-off, the matrix has few correct digits.

Reference:
    Dangel, Kunstner and Hennig, "BackPACK: Packing more into backprop", ICLR 2020.
"""

from collections.abc import Mapping

import torch
from backpack import extensions
from torch import Tensor

from fishergauge.reference.backpack_kronecker import (
    KroneckerFactors,
    backpack_kfac,
    backpack_kflr,
    kronecker_block_diagonal,
)
from fishergauge.reference.backpack_products import backpack_ggn_product, backpack_hessian_product
from fishergauge.reference.backpack_run import drawn_seed, saved_quantities
from fishergauge.reference.problem import Problem

__all__ = [
    "KroneckerFactors",
    "backpack_empirical_fisher",
    "backpack_empirical_fisher_diagonal",
    "backpack_ggn",
    "backpack_ggn_diagonal",
    "backpack_ggn_product",
    "backpack_hessian_diagonal",
    "backpack_hessian_product",
    "backpack_kfac",
    "backpack_kflr",
    "backpack_monte_carlo_fisher",
    "backpack_monte_carlo_fisher_diagonal",
    "kronecker_block_diagonal",
]


def backpack_ggn(problem: Problem) -> Tensor:
    r"""The generalised Gauss-Newton matrix from its square root, by ``SqrtGGNExact``.

    .. math:: G = V V'

    For a negative log-likelihood it is the Fisher.

    Args:
        problem: P parameters.

    Returns:
        ``(P, P)``, symmetric.

    Raises:
        UnsupportedError: BackPACK does not support a module or the loss (class weights, masked labels, class
            probabilities, squared error on more than two axes, binary cross-entropy with several outputs).

    Example:
        >>> from torch import nn
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> backpack_ggn(problem).round(decimals=4)
        tensor([[2., 2.],
                [2., 2.]])

    Reference:
        Dangel, Tatzel and Hennig, "ViViT: Curvature access through the generalized Gauss-Newton's low-rank
        structure", TMLR 2022.
    """
    return _gram(saved_quantities(problem, extensions.SqrtGGNExact()), sample_axes=2)


def backpack_ggn_diagonal(problem: Problem) -> Tensor:
    """The diagonal of the generalised Gauss-Newton matrix, by ``DiagGGNExact``.

    Args:
        problem: P parameters.

    Returns:
        ``(P,)``.

    Raises:
        UnsupportedError: as :func:`backpack_ggn`; adaptive average pooling is supported here.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> backpack_ggn_diagonal(problem).round(decimals=4)
        tensor([2., 2.])
    """
    return _concatenated(saved_quantities(problem, extensions.DiagGGNExact()))


def backpack_monte_carlo_fisher(problem: Problem, samples: int, generator: torch.Generator) -> Tensor:
    r"""An unbiased estimate of the Fisher from labels drawn from the model, by ``SqrtGGNMC``.

    .. math:: \hat F = \frac{1}{M S} \sum_n \sum_{s=1}^S g_n(y_{ns}) g_n(y_{ns})'

    with g the gradient of a sample. Where a sample has several terms (cross-entropy with positions), their
    gradients are added before the outer product is taken: still unbiased, as labels of different terms are
    drawn independently and gradients have mean zero, but not the estimator of ``monte_carlo_fisher``.

    BackPACK draws from the global generator. That generator is forked and seeded with a number drawn from
    ``generator``, and its state is restored, so that nothing else is moved.

    Args:
        problem: P parameters; M is what the reduction divides by.
        samples: S, the number of labels drawn for each term.
        generator: the source of the seed.

    Returns:
        ``(P, P)``, symmetric.

    Raises:
        UndefinedError: the objective is no negative log-likelihood, or ``samples`` is not positive.
        UnsupportedError: as :func:`backpack_ggn`.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 2), torch.nn.CrossEntropyLoss(), [(torch.ones(4, 1), torch.zeros(4).long())])
        >>> backpack_monte_carlo_fisher(problem, 3, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 4])
    """
    problem.likelihood.require_likelihood("the Monte-Carlo Fisher", problem.targets)
    seed = drawn_seed(samples, generator)
    return _gram(saved_quantities(problem, extensions.SqrtGGNMC(mc_samples=samples), seed), sample_axes=2)


def backpack_monte_carlo_fisher_diagonal(problem: Problem, samples: int, generator: torch.Generator) -> Tensor:
    """The diagonal of :func:`backpack_monte_carlo_fisher`, by ``DiagGGNMC``; from the same seed, the same labels.

    Args:
        problem: P parameters.
        samples: the number of labels drawn for each term.
        generator: the source of the seed for the global generator, which is forked and restored.

    Returns:
        ``(P,)``.

    Raises:
        UndefinedError: the objective is no negative log-likelihood, or ``samples`` is not positive.
        UnsupportedError: as :func:`backpack_ggn_diagonal`.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 2), torch.nn.CrossEntropyLoss(), [(torch.ones(4, 1), torch.zeros(4).long())])
        >>> backpack_monte_carlo_fisher_diagonal(problem, 3, torch.Generator().manual_seed(0)).shape
        torch.Size([4])
    """
    problem.likelihood.require_likelihood("the Monte-Carlo Fisher", problem.targets)
    seed = drawn_seed(samples, generator)
    return _concatenated(saved_quantities(problem, extensions.DiagGGNMC(mc_samples=samples), seed))


def backpack_empirical_fisher(problem: Problem) -> Tensor:
    r"""The second moment of the gradients of the un-reduced terms, by ``BatchGrad``.

    BackPACK's gradients of samples are those of the summands of the objective, :math:`g_n / M`, so that

    .. math:: \hat F = \frac{1}{M} \sum_n g_n g_n' = M \sum_n \frac{g_n}{M} \frac{g_n'}{M}.

    Args:
        problem: P parameters, one term a sample; class weights, label smoothing and masks are honoured.

    Returns:
        ``(P, P)``, symmetric.

    Raises:
        UnsupportedError: a sample has several terms, whose gradients BackPACK adds up; or BackPACK does not
            support a module.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> backpack_empirical_fisher(Problem(model, torch.nn.MSELoss(), [(torch.ones(4, 1), torch.ones(4, 1))]))
        tensor([[4.]])
    """
    return _divisor(problem) * _gram(saved_quantities(problem, extensions.BatchGrad()), sample_axes=1)


def backpack_empirical_fisher_diagonal(problem: Problem) -> Tensor:
    """The diagonal of :func:`backpack_empirical_fisher`, by ``SumGradSquared``.

    Args:
        problem: P parameters, one term a sample.

    Returns:
        ``(P,)``.

    Raises:
        UnsupportedError: as :func:`backpack_empirical_fisher`.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> backpack_empirical_fisher_diagonal(Problem(model, torch.nn.MSELoss(), [(torch.ones(4, 1), torch.ones(4, 1))]))
        tensor([4.])
    """
    return _divisor(problem) * _concatenated(saved_quantities(problem, extensions.SumGradSquared()))


def backpack_hessian_diagonal(problem: Problem) -> Tensor:
    """The diagonal of the Hessian of the objective, by ``DiagHessian``.

    Args:
        problem: P parameters.

    Returns:
        ``(P,)``.

    Raises:
        UnsupportedError: as :func:`backpack_ggn_diagonal`; furthermore ``Identity``, ``Embedding``, ``BatchNorm``.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> backpack_hessian_diagonal(problem).round(decimals=4)
        tensor([2., 2.])
    """
    return _concatenated(saved_quantities(problem, extensions.DiagHessian()))


def _divisor(problem: Problem) -> Tensor:
    """M, what the reduction divides by."""
    return problem.likelihood.divisor(problem.outputs, problem.targets)


def _gram(saved: Mapping[str, Tensor], sample_axes: int) -> Tensor:
    """The sum of outer products of rows, whose leading axes count draws or samples: ``(P, P)``."""
    rows = torch.cat([t.detach().flatten(0, sample_axes - 1).flatten(1) for t in saved.values()], 1)
    matrix = rows.T @ rows
    return (matrix + matrix.T) / 2


def _concatenated(saved: Mapping[str, Tensor]) -> Tensor:
    """One vector ``(P,)``."""
    return torch.cat([t.detach().reshape(-1) for t in saved.values()])
