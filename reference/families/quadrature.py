"""Gauss-Hermite quadrature for expectations under normal distributions."""

import math

import numpy as np
import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def gauss_hermite(nodes: int, like: Tensor) -> tuple[Tensor, Tensor]:
    r"""Nodes and weights for a standard normal variable, :math:`E f(z) \approx \sum_k w_k f(z_k)`.

    Args:
        nodes: K; polynomials up to degree 2 K - 1 are integrated exactly.
        like: gives dtype and device.

    Returns:
        Nodes and weights, each ``(K,)``; the weights sum to one.

    Raises:
        ProblemError: K is not positive or too large, or the dtype no floating-point one.

    Example:
        >>> points, weights = gauss_hermite(3, torch.ones(1).double())
        >>> round(float(weights @ points**4), 12)
        3.0

    Reference:
        Golub and Welsch, Mathematics of Computation 23 (1969); ``numpy.polynomial.hermite_e.hermegauss``.
    """
    if nodes < 1:
        raise ProblemError(f"a quadrature needs at least one node, not {nodes}")
    if not like.is_floating_point():
        raise ProblemError(f"nodes are floating-point numbers, not {like.dtype}")
    with np.errstate(all="ignore"):
        points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    if not np.isfinite(weights).all():
        raise ProblemError(f"numpy has no finite weights for {nodes} nodes; take fewer")
    return (
        torch.as_tensor(points, dtype=like.dtype, device=like.device),
        torch.as_tensor(weights / math.sqrt(2 * math.pi), dtype=like.dtype, device=like.device),
    )


def gaussian_cubature(mean: Tensor, root: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    r"""Nodes and weights for :math:`N(\mu, A A')`: the product rule, mapped by A.

    Args:
        mean: mu, ``(D,)``.
        root: A, ``(D, D)``, such as the Cholesky factor of the covariance.
        nodes: K a dimension; polynomials up to degree 2 K - 1 in each variable are integrated exactly.

    Returns:
        Nodes ``(K^D, D)`` and weights ``(K^D,)``.

    Raises:
        ProblemError: shapes do not fit, or as :func:`gauss_hermite`.

    Example:
        >>> points, weights = gaussian_cubature(torch.ones(2), torch.eye(2), 2)
        >>> weights @ points
        tensor([1., 1.])
    """
    if mean.ndim != 1 or root.shape != (len(mean), len(mean)):
        raise ProblemError(f"mean {tuple(mean.shape)} and root {tuple(root.shape)} do not fit: (D,) and (D, D)")
    points, weights = gauss_hermite(nodes, mean)
    dimension = len(mean)
    grid = torch.cartesian_prod(*[points] * dimension).reshape(-1, dimension)
    product = torch.cartesian_prod(*[weights] * dimension).reshape(-1, dimension).prod(-1)
    return mean + grid @ root.mT, product
