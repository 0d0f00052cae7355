"""Natural gradients of several softmax regressions on the same inputs, by preconditioned conjugate gradients."""

import torch
from torch import Tensor

from fishergauge.reference.softmax_regression import softmax_regression_fisher
from fishergauge.reports.natural_gradient import complete_kernel_, natural_gradient
from fishergauge.reports.short_softmax import short_softmax

CHUNK = 500  # samples at a time: the arrays stay in the cache
TOLERANCE = 1e-8
PATIENCE = 12  # iterations after which the inverses are made anew
LIMIT = 60


class NaturalGradients:
    r"""F(W_l)^+ g_l at the current parameters of every run l, without forming the current Fisher at each step.

    The inverse of the Fisher of a recent step, its kernel completed, preconditions conjugate gradients
    with products of the current one,

    .. math:: F v = \frac{1}{N} \sum_n (\mathrm{diag}(p_n) - p_n p_n') V x_n \, x_n',

    so that the result is that of the current Fisher to a relative residual of 1e-8.

    Args:
        inputs: ``(N, D)``.
    """

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs
        self.inverses: Tensor | None = None

    def __call__(self, logits: Tensor, gradients: Tensor) -> Tensor:
        """The natural gradients.

        Args:
            logits: at the current parameters, ``(L, N, C)``.
            gradients: ``(L, C, D)``.

        Returns:
            ``(L, C, D)``. Where rounding keeps the iteration from its goal, by a factorisation of the current Fisher.
        """
        p = short_softmax(logits).transpose(0, 1).contiguous()
        if self.inverses is None:
            self.inverses = self._invert(logits)
        step, iterations = self._iterate(p, gradients)
        if iterations > PATIENCE:
            self.inverses = self._invert(logits)
            if iterations > LIMIT:
                step, iterations = self._iterate(p, gradients)
                if iterations > LIMIT:
                    pairs = zip(logits, gradients.flatten(1), strict=True)
                    fishers = ((softmax_regression_fisher(self.inputs, z), g) for z, g in pairs)
                    solutions = [natural_gradient(fisher, g, p.shape[-1]) for fisher, g in fishers]
                    return torch.stack(solutions).view_as(gradients)
        return step

    def product(self, p: Tensor, vectors: Tensor) -> Tensor:
        """F v for every run, p shaped ``(N, L, C)``: ``(L, C, D)``. One matrix product forth and one back for all runs."""
        flat = vectors.reshape(-1, vectors.shape[-1])
        total = torch.zeros_like(flat)
        for first in range(0, len(p), CHUNK):
            x, part = self.inputs[first : first + CHUNK], p[first : first + CHUNK]
            changes = (x @ flat.T).view_as(part)
            weighted = part * changes
            weighted -= part * weighted.sum(-1, keepdim=True)
            total.addmm_(weighted.view(len(x), -1).T, x)
        return total.div_(len(p)).view_as(vectors)

    def _invert(self, logits: Tensor) -> Tensor:
        inverses = []
        for z in logits:
            matrix = complete_kernel_(softmax_regression_fisher(self.inputs, z), z.shape[1])
            factor, info = torch.linalg.cholesky_ex(matrix)
            if int(info) != 0:  # dependent features: any positive definite neighbour preconditions
                matrix.diagonal().add_(1e-10 * matrix.diagonal().mean())
                factor = torch.linalg.cholesky(matrix)
            inverses.append(torch.cholesky_inverse(factor))
        return torch.stack(inverses)

    def _iterate(self, p: Tensor, right: Tensor) -> tuple[Tensor, int]:
        """Conjugate gradients for all runs at once; the number of iterations, LIMIT + 1 where they do not converge."""
        goal = TOLERANCE * right.flatten(1).norm(dim=1)
        step, residual = torch.zeros_like(right), right.clone()
        search, previous = right, right.new_ones(len(right))
        for iteration in range(LIMIT + 1):
            active = residual.flatten(1).norm(dim=1) > goal  # a run that has arrived rests: rounding would carry it off again
            if not bool(active.any()):
                return step, iteration
            preconditioned = self._precondition(residual)
            scale = (residual * preconditioned).sum((1, 2))
            search = preconditioned + (scale / previous)[:, None, None] * search if iteration else preconditioned
            image = self.product(p, search)
            length = torch.where(active, scale / (search * image).sum((1, 2)), torch.zeros_like(scale))[:, None, None]
            step = step + length * search
            residual = residual - length * image
            previous = scale
        return step, LIMIT + 1

    def _precondition(self, residual: Tensor) -> Tensor:
        assert self.inverses is not None
        return torch.bmm(self.inverses, residual.flatten(1)[..., None]).view_as(residual)
