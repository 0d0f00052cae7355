"""Hutchinson's estimate of the diagonal of a matrix from products with vectors of signs."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError


def hutchinson_diagonal(product: Callable[[Tensor], Tensor], signs: Iterable[Tensor]) -> Tensor:
    r"""The mean of :math:`z \odot A z` over vectors of signs.

    .. math:: \mathrm E[z \odot A z] = \operatorname{diag} A, \qquad
        \operatorname{Var}[(z \odot A z)_i] = \sum_{j \ne i} a_{ij}^2 \quad (A = A')

    for independent signs :math:`z_i = \pm 1` of equal probability: the estimate is unbiased, and exact for a diagonal A.

    Args:
        product: from z ``(P,)`` to A z ``(P,)``.
        signs: vectors z; of drawn ones for an estimate, of all 2^P for the exact diagonal.

    Returns:
        ``(P,)``.

    Raises:
        ProblemError: there is no vector.

    Example:
        >>> A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
        >>> hutchinson_diagonal(lambda z: A @ z, all_signs(2))
        tensor([2., 3.])

    Reference:
        Hutchinson, Comm. Statist. Simulation Comput. 18 (1989); Bekas, Kokiopoulou and Saad, "An estimator for the
        diagonal of a matrix", Appl. Numer. Math. 57 (2007), eq. 3.
    """
    terms = [z * product(z) for z in signs]
    if not terms:
        raise ProblemError("an estimate of the diagonal needs at least one vector of signs")
    return torch.stack(terms).mean(0)


def drawn_signs(like: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Independent signs -1 and 1 of equal probability, ``(samples, *like.shape)``, of a tensor's dtype and device."""
    draws = torch.randint(0, 2, (samples, *like.shape), generator=generator, device=like.device)
    return (2 * draws - 1).to(like.dtype)


def all_signs(size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """All vectors of signs, ``(2^size, size)``."""
    codes = torch.arange(2**size)[:, None] >> torch.arange(size)
    return (2 * (codes & 1) - 1).to(dtype)
