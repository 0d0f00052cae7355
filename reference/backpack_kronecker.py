"""Kronecker factors by BackPACK, and the block-diagonal matrix that they stand for."""

from collections.abc import Mapping, Sequence

import torch
from backpack import extensions
from torch import Tensor

from fishergauge.reference.backpack_run import drawn_seed, saved_quantities
from fishergauge.reference.problem import Problem

KroneckerFactors = dict[str, tuple[Tensor, ...]]


def backpack_kflr(problem: Problem) -> KroneckerFactors:
    r"""Kronecker factors of the GGN from the exact output Hessians, by ``KFLR``.

    For a weight the factors are (G, A) and its block is :math:`G \otimes A`, for a bias (G,), its block itself:

    .. math::
        G = \frac{1}{M} \sum_n S_n S_n', \qquad A = \frac{1}{N} \sum_n \sum_t a_{nt} a_{nt}'

    with :math:`S_n` the root of the output Hessian of sample n pulled back to the outputs of the layer and
    summed over their positions, so that G is the exact block of the bias, and :math:`a_{nt}` the inputs of
    the layer, without a 1 for the bias, at position t (one for ``Linear``, a patch for a convolution). All
    of 1/M is in G. At T positions this is T times the block of Grosse and Martens (2016), eq. 32, whose
    :math:`\Gamma` averages over positions; weight sharing in ``Linear`` is refused.

    Args:
        problem: a model of ``Linear`` and ungrouped convolutions.

    Returns:
        The factors by parameter, in order; symmetric.

    Raises:
        UnsupportedError: as :func:`backpack_ggn`; furthermore inputs of a ``Linear`` with more than two axes,
            grouped and transposed convolutions, and activations other than ``ReLU``, ``Sigmoid``, ``Tanh``.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(2 * torch.ones(4, 1), torch.zeros(4, 1))])
        >>> kronecker_block_diagonal(backpack_kflr(problem)).round(decimals=4)
        tensor([[8., 0.],
                [0., 2.]])

    Reference:
        Botev, Ritter and Barber, "Practical Gauss-Newton optimisation for deep learning", ICML 2017, sec. 3.
    """
    return {name: tuple(factors) for name, factors in saved_quantities(problem, extensions.KFLR()).items()}


def backpack_kfac(problem: Problem, samples: int, generator: torch.Generator) -> KroneckerFactors:
    r"""Kronecker factors of the Fisher from labels drawn from the model, by ``KFAC``.

    As :func:`backpack_kflr`, with the gradients at S drawn labels, divided by :math:`\sqrt S`, in place of the
    root of the output Hessian: an unbiased estimate of G.

    Args:
        problem: a model of ``Linear`` and ungrouped convolutions.
        samples: S, the number of labels drawn for each term.
        generator: the source of the seed for the global generator, which is forked and restored.

    Returns:
        The factors by parameter, in order; symmetric.

    Raises:
        UndefinedError: the objective is no negative log-likelihood, or ``samples`` is not positive.
        UnsupportedError: as :func:`backpack_kflr`.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 2), torch.nn.CrossEntropyLoss(), [(torch.ones(4, 1), torch.zeros(4).long())])
        >>> [len(factors) for factors in backpack_kfac(problem, 3, torch.Generator().manual_seed(0)).values()]
        [2, 1]

    Reference:
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML
        2015, sec. 3 and 5; Grosse and Martens, "A Kronecker-factored approximate Fisher matrix for
        convolution layers", ICML 2016, eq. 32.
    """
    problem.likelihood.require_likelihood("the Monte-Carlo Fisher", problem.targets)
    seed = drawn_seed(samples, generator)
    saved = saved_quantities(problem, extensions.KFAC(mc_samples=samples), seed)
    return {name: tuple(factors) for name, factors in saved.items()}


def kronecker_block_diagonal(factors: Mapping[str, Sequence[Tensor]]) -> Tensor:
    r"""The block-diagonal matrix of Kronecker products, one block a parameter.

    A weight is flattened row-major, output by output, so that its block is :math:`G \otimes A`.

    Args:
        factors: (G, A) or (G,) by parameter, in the order of the parameters.

    Returns:
        ``(P, P)``.

    Example:
        >>> two, four = 2 * torch.ones(1, 1), 4 * torch.ones(1, 1)
        >>> kronecker_block_diagonal({"weight": (two, four), "bias": (two,)})
        tensor([[8., 0.],
                [0., 2.]])
    """
    blocks = []
    for first, *others in factors.values():
        block = first.contiguous()
        for other in others:
            block = torch.kron(block, other.contiguous())
        blocks.append(block)
    matrix = blocks[0].new_zeros(2 * (sum(len(block) for block in blocks),))
    start = 0
    for block in blocks:
        part = slice(start, start + len(block))
        matrix[part, part] = block
        start = part.stop
    return matrix
