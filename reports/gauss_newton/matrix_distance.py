"""How far one symmetric matrix is from another up to a factor, and by their eigenvectors; angles of vectors."""

import torch
from torch import Tensor

from fishergauge.suites.closeness import relative_deviation


def scaled_distance(matrix: Tensor, reference: Tensor) -> float:
    r"""The least :math:`|c A - B| / |B|` over all factors c: the sine of the angle between the matrices.

    Example:
        >>> scaled_distance(4 * torch.eye(2), torch.eye(2))
        0.0
    """
    factor = (matrix * reference).sum() / matrix.square().sum()
    return relative_deviation(factor * matrix, reference)


def eigenvector_angle(matrix: Tensor, reference: Tensor) -> float:
    """The angle between the leading eigenvectors, in degrees from 0 to 90."""
    first, second = (torch.linalg.eigh(one).eigenvectors[:, -1] for one in (matrix, reference))
    turned = float(angle(first, second))
    return min(turned, 180 - turned)


def angle(vectors: Tensor, others: Tensor) -> Tensor:
    """Angles between pairs of vectors in the plane, ``(..., 2)``, in degrees from 0 to 180; small ones are accurate.

    Example:
        >>> angle(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 2.0]))
        tensor(45.)
    """
    across = vectors[..., 0] * others[..., 1] - vectors[..., 1] * others[..., 0]
    degrees: Tensor = torch.rad2deg(torch.atan2(across.abs(), (vectors * others).sum(-1)))
    return degrees
