"""The KL divergence of softmax regression along straight lines in parameter space."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ConvergenceError
from fishergauge.reference.matched_length import matched_length
from fishergauge.reports.short_softmax import short_softmax

CHUNK = 4096  # array elements of one slice of samples and one line: small enough for the cache
LARGE = 500.0  # exponents beyond it overflow
TOLERANCE = 1e-11
ITERATIONS = 12


class Rays:
    r"""Mean KL divergence between the model at W and at W - a V, for several lines at once.

    With :math:`u = V x` less its mean under p,

    .. math:: K(a) = \frac{1}{N} \sum_n \log\Big(1 + \sum_c p_c (e^{-a u_c} - 1)\Big), \qquad
        K'(a) = -\frac{1}{N} \sum_n \frac{\sum_c p_c (e^{-a u_c} - 1) u_c}{1 + \sum_c p_c (e^{-a u_c} - 1)},

    convex in a. Both sums keep their relative accuracy for small steps, since the mean of u vanishes.

    Args:
        logits: W x, ``(N, C)``, or ``(L, N, C)`` where the lines start at different points.
        changes: V x, ``(L, N, C)``; a single line may be evaluated at any number of lengths.
        probabilities: the softmax of the logits, where it is at hand.
    """

    def __init__(self, logits: Tensor, changes: Tensor, probabilities: Tensor | None = None) -> None:
        known = short_softmax(logits) if probabilities is None else probabilities
        self.probabilities = known.expand_as(changes)
        self.centred = changes - (self.probabilities * changes).sum(-1, keepdim=True)
        self.largest = self.centred.abs().amax((1, 2))

    def divergence(self, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """K and K' at one length a line.

        Args:
            lengths: a, ``(L,)``.

        Returns:
            Two tensors ``(L,)``.
        """
        count, classes = self.centred.shape[1:]
        step = max(1, CHUNK // classes)
        safe = bool((self.largest * lengths <= LARGE).all())
        totals = lengths.new_zeros(2, len(lengths))
        for first in range(0, count, step):
            p, u = self.probabilities[:, first : first + step], self.centred[:, first : first + step]
            values, slopes = _terms(p, u, lengths, safe)
            totals[0] += values.sum(-1)
            totals[1] += slopes.sum(-1)
        return totals[0] / count, totals[1] / count

    def quadratic_length(self, target: Tensor) -> Tensor:
        r"""The length :math:`\sqrt{2 \varepsilon / v'Fv}` at which the quadratic model has the divergence: ``(L,)``."""
        return (2 * target / self.moment(2)).sqrt()

    def moment(self, order: int) -> Tensor:
        r"""The mean central moment :math:`\frac{1}{N} \sum_n \sum_c p_c u_c^k` of the changes; v'Fv for k = 2: ``(L,)``."""
        return (self.probabilities * self.centred**order).sum(-1).mean(-1)

    def matched_length(self, target: Tensor) -> Tensor:
        r"""The length with :math:`K(a) = \varepsilon` to 1e-10 relative, for one target a line.

        Newton's method on :math:`\log K` as a function of :math:`\log a`, nearly a straight line of slope two, from the
        quadratic model corrected by its cubic term; where it does not converge, bracketing root finding.

        Args:
            target: positive, ``(L,)``.

        Returns:
            ``(L,)``, positive.

        Raises:
            ConvergenceError: a target is out of reach.

        Example:
            >>> rays = Rays(torch.zeros(1, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)[:1, None])
            >>> length = rays.matched_length(torch.tensor([1e-3], dtype=torch.float64))
            >>> abs(float(rays.divergence(length)[0]) / 1e-3 - 1) < 1e-10
            True
        """
        lengths = self.quadratic_length(target)
        for _ in range(ITERATIONS):
            values, slopes = self.divergence(lengths)
            excess = (values / target).log()
            if bool((excess.abs() <= TOLERANCE).all()):
                return lengths
            move = (-excess * values / (lengths * slopes)).nan_to_num(-1.0, 1.0, -1.0).clamp(-1, 1)
            lengths = lengths * torch.where(excess.abs() <= TOLERANCE, torch.zeros_like(move), move).exp()
        return torch.cat([self._bracketed(line, target[line]) for line in range(len(target))])

    def _bracketed(self, line: int, target: Tensor) -> Tensor:
        """The matched length of one line by bracketing: ``(1,)``."""
        line = min(line, len(self.centred) - 1)
        p, u = self.probabilities[line : line + 1], self.centred[line : line + 1]

        def divergence(lengths: Tensor) -> Tensor:
            return torch.stack([_terms(p, u, length[None], False)[0].mean() for length in lengths])

        guess = (2 * target / self.moment(2)[line])[None].sqrt()
        for _ in range(200):  # an overflowing guess cannot be bracketed
            if float(divergence(guess)) < 2 * float(target):
                return matched_length(divergence, target[None], guess)
            guess = guess / 2
        raise ConvergenceError(f"no step length reaches the divergence {float(target):.1e}")


def _terms(p: Tensor, u: Tensor, lengths: Tensor, safe: bool) -> tuple[Tensor, Tensor]:
    """Per-sample K and K': two tensors ``(L, n)``; ``safe`` if no exponent is known to overflow."""
    exponents = u * -lengths[:, None, None]
    if not safe and float((top := exponents.amax(-1)).max()) > LARGE:
        weights = p * (exponents - top[..., None]).exp()
        total = weights.sum(-1)
        return top + total.log(), -(weights * u).sum(-1) / total
    weights = exponents.expm1_().mul_(p)
    excess = weights.sum(-1)
    return excess.log1p(), -(weights.mul_(u)).sum(-1) / (1 + excess)
