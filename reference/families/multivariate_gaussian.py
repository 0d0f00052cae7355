"""The multivariate normal distribution in four systems of coordinates, with its Fisher in closed form."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.families.symmetric import duplication_matrix, lower_triangular, matrix_dimension, symmetric, vech

COORDINATES = ("covariance", "natural", "expectation", "cholesky")
"""How a normal distribution N(mu, Sigma) is written as a vector, Lambda being the inverse of Sigma.

- ``covariance``: mu, vech(Sigma).
- ``natural``: the coefficients of the statistic (x, vech(x x')): Lambda mu, then -Lambda_ii / 2 on the diagonal
  and -Lambda_ij off it, as each product x_i x_j with i > j stands once.
- ``expectation``: the mean of that statistic, mu, vech(Sigma + mu mu'); dual to the natural coordinates.
- ``cholesky``: mu, vech(L) with Sigma = L L', the diagonal of L positive.

In each the first D entries are of the first kind and D (D + 1) / 2 follow, in the order of
:func:`~fishergauge.reference.families.symmetric.vech`.
"""


def gaussian_to_coordinates(mean: Tensor, covariance: Tensor, coordinates: str) -> Tensor:
    """A normal distribution as a vector.

    Args:
        mean: mu, ``(D,)``.
        covariance: Sigma, ``(D, D)``, positive definite.
        coordinates: one of :data:`COORDINATES`.

    Returns:
        ``(D + D (D + 1) / 2,)``.

    Raises:
        ProblemError: shapes do not fit, the coordinates are unknown, or the covariance is not symmetric positive definite.

    Example:
        >>> gaussian_to_coordinates(torch.tensor([1.0]), torch.tensor([[4.0]]), "natural")
        tensor([ 0.2500, -0.1250])

    Reference:
        Wainwright and Jordan, "Graphical models, exponential families, and variational inference" (2008), ch. 3.
    """
    _check(mean, covariance, coordinates)
    factor = _cholesky(covariance)
    if coordinates == "covariance":
        return torch.cat([mean, vech(covariance)])
    if coordinates == "expectation":
        return torch.cat([mean, vech(covariance + torch.outer(mean, mean))])
    if coordinates == "cholesky":
        return torch.cat([mean, vech(factor)])
    precision = torch.cholesky_inverse(factor)
    return torch.cat([precision @ mean, vech(precision.diag().diag() / 2 - precision)])


def gaussian_from_coordinates(vector: Tensor, coordinates: str) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a normal distribution written as a vector, the inverse of :func:`gaussian_to_coordinates`.

    Args:
        vector: ``(D + D (D + 1) / 2,)``.
        coordinates: one of :data:`COORDINATES`.

    Returns:
        mu, ``(D,)``, and Sigma, ``(D, D)``. It is not checked that Sigma is positive definite.

    Raises:
        ProblemError: no D has this number of coordinates, they are unknown, or the precision is singular.

    Example:
        >>> gaussian_from_coordinates(torch.tensor([0.25, -0.125]), "natural")
        (tensor([1.]), tensor([[4.]]))
    """
    _known(coordinates)
    dimension = matrix_dimension(len(vector) + 1) - 1  # D + D (D + 1) / 2 + 1 = (D + 1) (D + 2) / 2
    if dimension < 1:
        raise ProblemError("a normal distribution has at least two coordinates")
    first, rest = vector[:dimension], vector[dimension:]
    if coordinates == "covariance":
        return first, symmetric(rest)
    if coordinates == "expectation":
        return first, symmetric(rest) - torch.outer(first, first)
    if coordinates == "cholesky":
        factor = lower_triangular(rest)
        return first, factor @ factor.mT
    coefficients = lower_triangular(rest)
    covariance, singular = torch.linalg.inv_ex(-(coefficients + coefficients.mT))
    if bool(singular):
        raise ProblemError("the natural parameters are those of no normal distribution: the precision is singular")
    covariance = (covariance + covariance.mT) / 2
    return covariance @ first, covariance


def gaussian_fisher(mean: Tensor, covariance: Tensor, coordinates: str) -> Tensor:
    r"""The Fisher of one observation x ~ N(mu, Sigma).

    .. math:: F[\dot\mu, \dot\Sigma] = \dot\mu' \Sigma^{-1} \dot\mu
        + \tfrac{1}{2} \mathrm{tr}(\Sigma^{-1} \dot\Sigma \Sigma^{-1} \dot\Sigma)

    In the other coordinates: the covariance of the statistic (natural), its inverse (expectation), and
    :math:`\mathrm{tr}(A A' + A A)` with :math:`A = L^{-1} \dot L` (Cholesky), each written out.

    Args:
        mean: mu, ``(D,)``.
        covariance: Sigma, ``(D, D)``, positive definite.
        coordinates: one of :data:`COORDINATES`.

    Returns:
        ``(P, P)`` with P = D + D (D + 1) / 2, in the order of :func:`gaussian_to_coordinates`.

    Raises:
        ProblemError: shapes do not fit, the coordinates are unknown, or the covariance is not symmetric positive definite.

    Example:
        >>> gaussian_fisher(torch.zeros(1), torch.tensor([[2.0]]), "covariance")
        tensor([[0.5000, 0.0000],
                [0.0000, 0.1250]])

    Reference:
        Skovgaard, "A Riemannian geometry of the multivariate normal model", Scandinavian Journal of Statistics 11
        (1984); Malagò and Pistone, "Information geometry of the Gaussian distribution in view of
        stochastic optimization", FOGA 2015.
    """
    _check(mean, covariance, coordinates)
    _cholesky(covariance)
    return _FISHERS[coordinates](mean, covariance)


def gaussian_natural_gradient(covariance: Tensor, mean_gradient: Tensor, covariance_gradient: Tensor) -> tuple[Tensor, Tensor]:
    r"""The natural gradient in mean and covariance, without a matrix of size P.

    .. math:: \tilde\nabla_\mu = \Sigma \nabla_\mu, \quad \tilde\nabla_\Sigma = 2 \Sigma \nabla_\Sigma \Sigma

    It is the gradient in the mean only where Sigma is the identity.

    Args:
        covariance: Sigma, ``(D, D)``.
        mean_gradient: of a function of mu, ``(D,)``.
        covariance_gradient: ``(D, D)``, symmetric: half of a vech-derivative stands at each place off the diagonal.

    Returns:
        ``(D,)`` and ``(D, D)``.

    Raises:
        ProblemError: shapes do not fit.

    Example:
        >>> gaussian_natural_gradient(torch.tensor([[3.0]]), torch.ones(1), torch.ones(1, 1))
        (tensor([3.]), tensor([[18.]]))

    Reference:
        Malagò and Pistone, FOGA 2015.
    """
    _check(mean_gradient, covariance, "covariance")
    if covariance_gradient.shape != covariance.shape:
        raise ProblemError(f"gradient {tuple(covariance_gradient.shape)} of a covariance {tuple(covariance.shape)}")
    return covariance @ mean_gradient, 2 * covariance @ covariance_gradient @ covariance


def _of_covariance(mean: Tensor, covariance: Tensor) -> Tensor:
    precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    return _block_diagonal(precision, _of_vech(precision))


def _of_vech(precision: Tensor) -> Tensor:
    """D' (Lambda kron Lambda) D / 2."""
    twice = duplication_matrix(len(precision), precision)
    products = torch.kron(precision.contiguous(), precision.contiguous())
    return twice.mT @ products @ twice / 2


def _of_natural(mean: Tensor, covariance: Tensor) -> Tensor:
    """The covariance of (x, vech(x x')), from the moments of the normal distribution up to the fourth."""
    d = len(mean)
    pairs = torch.einsum("ik,jl->ijkl", covariance, covariance + torch.outer(mean, mean))
    pairs = pairs + torch.einsum("ik,jl->ijkl", torch.outer(mean, mean), covariance)
    fourth = pairs + pairs.transpose(2, 3)
    third = torch.einsum("ki,j->kij", covariance, mean)
    third = third + third.transpose(1, 2)
    rows, columns = torch.tril_indices(d, d, device=mean.device)
    cross = third[:, rows, columns]
    square = fourth[rows, columns][:, rows, columns]
    return torch.cat([torch.cat([covariance, cross], 1), torch.cat([cross.mT, square], 1)])


def _of_expectation(mean: Tensor, covariance: Tensor) -> Tensor:
    """From dSigma = dM - dmu mu' - mu dmu'."""
    precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    of_square = _of_vech(precision)
    units = torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
    outer = units[:, :, None] * mean
    shift = vech(outer + outer.mT).mT  # column i: the derivative of vech(mu mu') in mu_i
    cross = -shift.mT @ of_square
    of_mean = precision + shift.mT @ of_square @ shift
    return torch.cat([torch.cat([of_mean, cross], 1), torch.cat([cross.mT, of_square], 1)])


def _of_cholesky(mean: Tensor, covariance: Tensor) -> Tensor:
    """Sum of the squares of A, those of its diagonal twice: A A' + A A has this trace, as A is lower triangular."""
    factor = torch.linalg.cholesky(covariance)
    size = len(mean) * (len(mean) + 1) // 2
    units = lower_triangular(torch.eye(size, dtype=mean.dtype, device=mean.device))
    relative = vech(torch.linalg.solve_triangular(factor, units, upper=False))  # row k: A for the unit k
    weights = vech(torch.ones_like(factor) + torch.eye(len(mean), dtype=mean.dtype, device=mean.device))
    return _block_diagonal(torch.cholesky_inverse(factor), (relative * weights) @ relative.mT)


def _block_diagonal(*blocks: Tensor) -> Tensor:
    matrix: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return matrix


_FISHERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "covariance": _of_covariance,
    "natural": _of_natural,
    "expectation": _of_expectation,
    "cholesky": _of_cholesky,
}


def _known(coordinates: str) -> None:
    if coordinates not in COORDINATES:
        raise ProblemError(f"unknown coordinates {coordinates!r}; there are {', '.join(COORDINATES)}")


def _cholesky(covariance: Tensor) -> Tensor:
    """The Cholesky factor, after refusing what is no covariance."""
    if not bool((covariance - covariance.mT).norm() <= torch.finfo(covariance.dtype).eps ** 0.5 * covariance.norm()):
        raise ProblemError("the covariance is not symmetric, or NaN")
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if bool(failed):
        raise ProblemError("the covariance is not positive definite")
    return factor


def _check(mean: Tensor, covariance: Tensor, coordinates: str) -> None:
    _known(coordinates)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ProblemError(f"mean {tuple(mean.shape)} and covariance {tuple(covariance.shape)} do not fit: (D,) and (D, D)")
