r"""The Lanczos process from a random start: Ritz values of a matrix of which only products are known, and what they miss.

Own iteration instead of ``scipy.sparse.linalg.eigsh``: the number of products is fixed beforehand and each of them counts in
the bound on what is missed, while ARPACK restarts until it has converged, or raises that it has not; memory is k vectors in
the dtype and on the device of the problem; and all inner products with the basis are kept, so that a matrix that is not
symmetric is projected as it is and does not break the recurrence.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from fishergauge.suites.probes.power import seen_by_lanczos
from fishergauge.suites.probes.probe import MISSED

Multiply = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Krylov:
    r"""A matrix on the Krylov space :math:`q, A q, \dots, A^{k-1} q`.

    Args:
        basis: Q', ``(k, P)``, with orthonormal rows.
        projected: Q' A Q, ``(k, k)``, in float64 on the processor; of a symmetric matrix it is tridiagonal.
        finite: whether the process went on to its end; False where a product became too large for the dtype.
    """

    basis: Tensor
    projected: Tensor
    finite: bool = True

    @property
    def steps(self) -> int:
        """k, the dimension of the space."""
        return len(self.basis)

    def ritz(self) -> tuple[Tensor, Tensor]:
        """The Ritz values of the symmetric part, ascending, and the vectors in the basis, as columns ``(k, k)``."""
        values, vectors = torch.linalg.eigh((self.projected + self.projected.T) / 2)
        return values, vectors

    def vector(self, coefficients: Tensor) -> Tensor:
        """The vector ``(P,)`` of length one with these coefficients in the basis."""
        found = self.basis.T @ coefficients.to(self.basis)
        unit: Tensor = found / torch.linalg.vector_norm(found)
        return unit


def lanczos(multiply: Multiply, start: Tensor, steps: int, generator: torch.Generator) -> Krylov:
    r"""An orthonormal basis of the Krylov space and the matrix on it, with every vector made orthogonal to all others twice.

    .. math:: h_j = Q' A q_j, \quad \beta_j q_{j+1} = A q_j - Q h_j

    Where the remainder is rounding alone the space is invariant; the process goes on with a random vector.

    Args:
        multiply: v to A v, both ``(P,)``; called ``steps`` times, less only where P is smaller.
        start: ``(P,)``, not zero; to be random, or else what it has no component of stays unseen.
        steps: k; the memory is k + 4 vectors of length P.
        generator: on the processor, for the vectors that follow an invariant space.

    Returns:
        The basis and the projected matrix.

    Example:
        >>> entries = torch.tensor([4.0, 1.0, -2.0], dtype=torch.float64)
        >>> found = lanczos(lambda v: entries * v, torch.ones(3, dtype=torch.float64), 3, torch.Generator())
        >>> found.ritz()[0].round(decimals=6)
        tensor([-2.,  1.,  4.], dtype=torch.float64)

    Reference:
        Lanczos, "An iteration method for the solution of the eigenvalue problem", J. Res. Nat. Bur. Standards 45 (1950);
        Giraud, Langou, Rozloznik and van den Eshof, "Rounding error analysis of the classical Gram-Schmidt
        orthogonalization process", Numer. Math. 101 (2005): twice is enough.
    """
    steps = min(steps, start.numel())
    basis = start.new_empty(steps, start.numel())
    projected = torch.zeros(steps, steps, dtype=torch.float64)
    basis[0] = start / _length(start)
    noise, largest = 8 * torch.finfo(start.dtype).eps, 0.0
    for index in range(steps):
        following = multiply(basis[index]).clone()
        largest = max(largest, _length(following))
        coefficients = _made_orthogonal(following, basis[: index + 1])
        remainder = _length(following)
        if not (math.isfinite(largest) and math.isfinite(remainder) and bool(coefficients.isfinite().all())):
            kept = max(index, 1)
            return Krylov(basis[:kept], projected[:kept, :kept], finite=False)
        projected[: index + 1, index] = coefficients
        if index + 1 == steps:
            break
        if remainder > noise * largest:
            projected[index + 1, index] = remainder
        else:
            following = torch.randn(start.numel(), generator=generator, dtype=torch.float64).to(start)
            _made_orthogonal(following, basis[: index + 1])
            remainder = _length(following)
        basis[index + 1] = following.div_(remainder)
    return Krylov(basis, projected)


def _made_orthogonal(vector: Tensor, basis: Tensor) -> Tensor:
    """The components in the basis, ``(k,)`` in float64, which are taken from the vector in place, twice."""
    components = torch.zeros(len(basis), dtype=torch.float64)
    for _ in range(2):
        found = basis @ vector
        vector.addmv_(basis.T, found, alpha=-1)
        components += found.double().cpu()
    return components


def _length(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))


def seen_negative(size: int, steps: int, bound: float = 0.0, missed: float = MISSED) -> float:
    r"""The smallest :math:`\tau` such that :math:`\lambda_{\min} = -\tau \lambda_{\max}` gives a Ritz value below
    :math:`-\text{bound} \cdot \lambda_{\max}`, with probability 1 - missed, whatever the other eigenvalues are.

    With the share s of the start in the eigenvector of :math:`\lambda_{\min}`, which has a beta distribution with parameters
    1/2 and (P - 1)/2, a polynomial p of degree k - 1 in A applied to the start has a negative quotient if

    .. math:: \tau \, p(-\tau)^2 \, s > \max_{0 \le \lambda \le 1} \lambda \, p(\lambda)^2 \, (1 - s).

    The odd polynomial :math:`\sigma p(\sigma^2)` that is the largest outside is Chebyshev's of degree 2k - 1, so that

    .. math:: \sinh^2\big((2k - 1) \operatorname{arsinh} \sqrt\tau\big) = (1 - s) / s

    at the quantile of s; for A + bound in place of A at last. A start that is shared out like this is as good as one of theorem
    4.2 of Kuczynski and Wozniakowski for :math:`\lambda_{\max} - A`, and a little better, as only the sign is asked for.

    Args:
        size: P.
        steps: k.
        bound: what a Ritz value must fall below, relative to the largest eigenvalue.
        missed: the probability of missing it.

    Returns:
        tau, relative to the largest eigenvalue; the bound itself where the Krylov space is the whole space.

    Example:
        >>> f"{seen_negative(1_000_000, 40):.3f}"
        '0.074'

    Reference:
        Kuczynski and Wozniakowski, "Estimating the largest eigenvalue by the power and Lanczos algorithms with a random
        start", SIAM J. Matrix Anal. Appl. 13 (1992), section 4.
    """
    if steps >= size:
        return bound
    share = float(stats.beta.ppf(missed, 0.5, (size - 1) / 2))
    below = math.sinh(math.asinh(math.sqrt((1 - share) / share)) / (2 * steps - 1)) ** 2
    return bound + (1 + bound) * below


def extreme_interval(krylov: Krylov, size: int, missed: float = MISSED) -> tuple[float, float]:
    r"""Between which numbers the smallest eigenvalue of a symmetric matrix lies, with probability 1 - missed.

    .. math:: \theta_{\min} - \frac{\varepsilon}{1 - 2 \varepsilon} (\theta_{\max} - \theta_{\min}) \le \lambda_{\min} \le
        \theta_{\min}

    as each end of the spectrum is missed by at most :math:`\varepsilon (\lambda_{\max} - \lambda_{\min})`.

    Args:
        krylov: from a random start.
        size: P.
        missed: the probability that it lies below.

    Returns:
        Lower and upper end; minus infinity below where the steps are too few to say anything.

    Reference:
        Kuczynski and Wozniakowski 1992, theorem 4.2, for the matrix and for its negative, both shifted to be semi-definite.
    """
    values, _ = krylov.ritz()
    lowest, highest = float(values[0]), float(values[-1])
    if krylov.steps >= size:
        return lowest, lowest
    missing = seen_by_lanczos(size, krylov.steps, missed / 2)
    below = missing / (1 - 2 * missing) * (highest - lowest) if missing < 0.5 else math.inf
    return lowest - below, lowest
