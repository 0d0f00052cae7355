"""A bound on the divergence of one step in its quadratic model."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def kl_clip(decreases: Sequence[Tensor], lr: float, limit: float | None) -> float:
    r"""The factor by which a preconditioned gradient is shortened.

    .. math:: \nu = \min\Big(1, \sqrt{\frac{\kappa}{\eta^2 \, g' F^{-1} g}}\Big)

    The step :math:`s = -\nu \eta F^{-1} g` then has :math:`s'Fs \le \kappa`, which is twice the divergence in the
    quadratic model.

    Args:
        decreases: g'F^-1 g of each layer, scalars.
        lr: eta.
        limit: kappa; None: no clipping.

    Returns:
        nu, between 0 and 1.

    Raises:
        ProblemError: kappa is not positive.

    Example:
        >>> parts = [torch.tensor(1.0), torch.tensor(3.0)]
        >>> kl_clip(parts, 1.0, 1.0), kl_clip(parts, 0.1, 1.0)
        (0.5, 1.0)

    Reference:
        Ba, Grosse and Martens, "Distributed second-order optimization using Kronecker-factored approximations", ICLR
        2017, sec. 5; Osawa et al., CVPR 2019.
    """
    if limit is not None and not limit > 0:
        raise ProblemError(f"the limit of the divergence must be positive, got {limit}")
    if limit is None or lr == 0 or not decreases:
        return 1.0
    decrease = float(torch.stack(list(decreases)).sum())
    if not decrease > 0:
        return 1.0
    return min(1.0, math.sqrt(limit / (lr**2 * decrease)))
