"""Exponential expressions without cancellation."""

import torch
from torch import Tensor


def exponential_remainder(x: Tensor) -> Tensor:
    r"""Evaluate :math:`e^x - 1 - x` to full relative accuracy.

    .. math:: e^x - 1 - x = \sum_{k \ge 2} x^k / k!

    The series serves below ``|x| = 1/2`` (14 terms leave less than 1e-18), the direct form elsewhere.

    Args:
        x: any shape.

    Returns:
        The remainder, non-negative, shaped like ``x``.

    Example:
        >>> round(float(exponential_remainder(torch.tensor(1e-6, dtype=torch.float64))) * 2e12, 9)
        1.000000333
    """
    small = x.clamp(-0.5, 0.5)
    series = torch.zeros_like(x)
    for k in range(15, 1, -1):
        series = small / k * (series + 1) if k > 2 else small.square() / 2 * (series + 1)
    return torch.where(x.abs() <= 0.5, series, torch.expm1(x) - x)


def complements(probabilities: Tensor) -> Tensor:
    """Evaluate 1 - p_c as the sum of the other probabilities, which does not cancel where p_c is near one.

    Args:
        probabilities: ``(..., C)``, summing to one along the last axis.

    Returns:
        ``(..., C)``.
    """
    width = probabilities.shape[-1]
    others = 1 - torch.eye(width, dtype=probabilities.dtype, device=probabilities.device)
    return probabilities @ others


def categorical_kl(logits: Tensor, others: Tensor) -> Tensor:
    r"""KL divergence between categorical distributions given by their logits.

    With :math:`\delta` the change of the logits less its mean under p,

    .. math:: KL(p \,\|\, q) = \log \sum_c p_c e^{\delta_c} = \log(1 + \sum_c p_c (e^{\delta_c} - 1 - \delta_c)),

    a sum of non-negative terms, so that a small divergence keeps its relative accuracy.

    Args:
        logits: of p, ``(..., C)``.
        others: logits of q, ``(..., C)``.

    Returns:
        ``(...)``, non-negative.
    """
    p = logits.softmax(-1)
    change = others - logits
    change = change - (p * change).sum(-1, keepdim=True)
    near = torch.log1p((p * exponential_remainder(change.clamp(max=1.0))).sum(-1))
    far = (logits.log_softmax(-1) + change).logsumexp(-1)
    return torch.where(change.amax(-1) < 1.0, near, far)
