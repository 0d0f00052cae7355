"""Closed forms for softmax regression, f(x) = W x with mean cross-entropy."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.kronecker_sum import (
    packed_positions,
    packed_products,
    packed_sum,
    sum_of_kronecker_products,
    unpacked,
)
from fishergauge.reference.stable_exponential import complements


def softmax_regression_fisher(inputs: Tensor, logits: Tensor) -> Tensor:
    r"""The exact Fisher, which equals GGN and Hessian.

    .. math:: F = \frac{1}{N} \sum_n (\mathrm{diag}(p_n) - p_n p_n') \otimes x_n x_n', \quad p_n = \mathrm{softmax}(W x_n)

    The covariance is a sum over pairs of labels, :math:`\sum_{c < e} p_c p_e (e_c - e_e) (e_c - e_e)'`: the blocks off the
    diagonal hold :math:`-p_c p_e`, and a block on it is the sum of the others in its row, negated, without cancellation.
    One product of packed triangles gives them: N C (C - 1) D (D + 1) / 2 floating-point operations.

    Args:
        inputs: x, ``(N, D)``; append a column of ones for a bias joined to the weight.
        logits: W x, ``(N, C)``.

    Returns:
        ``(C D, C D)``, indexed by ``c D + d`` as the weight ``(C, D)`` is flattened.

    Raises:
        ProblemError: the shapes do not fit.

    Example:
        >>> softmax_regression_fisher(torch.ones(3, 1), torch.zeros(3, 2))
        tensor([[ 0.2500, -0.2500],
                [-0.2500,  0.2500]])

    Reference:
        Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of Statistical
        Mathematics 44 (1992), eq. 2.5.
    """
    _check(inputs, logits)
    classes = logits.shape[1]

    def pairs(part: slice) -> Tensor:
        p = logits[part].T.contiguous().softmax(0)
        return packed_products(p, 0)[classes:]  # without the squares, which come first

    between = packed_sum(pairs, inputs).div_(len(inputs))
    positions = packed_positions(classes, logits.device)
    no_squares = between.new_zeros(classes, between.shape[1])
    within = torch.cat([no_squares, between])[positions].sum(1)
    return unpacked(torch.cat([within, between.neg()]), positions)


def softmax_regression_empirical_fisher(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    r"""The empirical Fisher.

    .. math:: \hat F = \frac{1}{N} \sum_n r_n r_n' \otimes x_n x_n', \quad r_n = p_n - e_{y_n}

    Args:
        inputs: x, ``(N, D)``.
        logits: W x, ``(N, C)``.
        labels: y, ``(N,)``.

    Returns:
        ``(C D, C D)``.

    Raises:
        ProblemError: the shapes do not fit.

    Reference:
        Kunstner, Balles and Hennig, NeurIPS 2019, eq. 3.
    """
    _check(inputs, logits)

    def packed_outer_products(part: slice) -> Tensor:
        return packed_products(_residuals(logits[part], labels[part]), 0)

    positions = packed_positions(logits.shape[1], logits.device)
    return sum_of_kronecker_products(packed_outer_products, inputs, positions).div_(len(inputs))


def softmax_regression_kfac(inputs: Tensor, logits: Tensor) -> Tensor:
    r"""The Kronecker-factored approximation of the Fisher, G kron A.

    .. math:: \Big(\frac{1}{N} \sum_n \mathrm{diag}(p_n) - p_n p_n'\Big) \otimes \Big(\frac{1}{N} \sum_n x_n x_n'\Big)

    Args:
        inputs: x, ``(N, D)``.
        logits: W x, ``(N, C)``.

    Returns:
        ``(C D, C D)``.

    Raises:
        ProblemError: the shapes do not fit.

    Reference:
        Martens and Grosse, ICML 2015, sec. 3.
    """
    _check(inputs, logits)
    p = logits.softmax(-1)
    output_factor = p.T @ p / -len(p)
    output_factor.diagonal().copy_((p * complements(p)).mean(0))
    input_factor = inputs.T @ inputs / len(inputs)
    matrix = torch.kron(output_factor.contiguous(), input_factor.contiguous())
    return (matrix + matrix.T).div_(2)


def softmax_regression_gradient(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    r"""The gradient of the mean cross-entropy, :math:`\frac{1}{N} \sum_n (p_n - e_{y_n}) \otimes x_n`.

    Args:
        inputs: x, ``(N, D)``.
        logits: W x, ``(N, C)``.
        labels: y, ``(N,)``.

    Returns:
        ``(C D,)``.

    Raises:
        ProblemError: the shapes do not fit.
    """
    _check(inputs, logits)
    return (_residuals(logits, labels) @ inputs).div_(len(inputs)).reshape(-1)


def _residuals(logits: Tensor, labels: Tensor) -> Tensor:
    """p - e_y, one column a sample: ``(C, N)``, its negative entry as the sum of the others."""
    p = logits.T.contiguous().softmax(0)  # labels first: the samples are contiguous
    index = labels[None]
    others = p.scatter(0, index, 0)
    return others.scatter(0, index, -others.sum(0, keepdim=True))


def _check(inputs: Tensor, logits: Tensor) -> None:
    if inputs.ndim != 2 or logits.ndim != 2 or len(inputs) != len(logits) or len(inputs) == 0:
        raise ProblemError(
            f"expected inputs (N, D) and logits (N, C) with N > 0, got {tuple(inputs.shape)}, {tuple(logits.shape)}"
        )
