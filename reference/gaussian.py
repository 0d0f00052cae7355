"""Squared error: a Gaussian with identity covariance times 1/2 around the outputs."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from fishergauge.reference.elementwise import ElementwiseLikelihood

VARIANCE = 0.5  # MSELoss is |y - f|^2 without a factor 1/2, the negative log-likelihood at this variance


class Gaussian(ElementwiseLikelihood):
    r"""Terms :math:`\ell = |f - y|^2`, that is :math:`-\log N(y; f, I/2)` up to a constant.

    The output Hessian is 2 I; a term is the vector along the last axis of the outputs.

    Reference:
        Martens, "New insights and perspectives on the natural gradient method", JMLR 21 (2020), sec. 9.2.
    """

    def values(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.mse_loss(outputs, labels, reduction="none").sum(-1)

    def residuals(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 2 * (outputs - labels)

    def hessian_root(self, outputs: Tensor, labels: Tensor) -> Tensor:
        terms, width = outputs.shape
        identity = torch.eye(width, dtype=outputs.dtype, device=outputs.device)
        return (math.sqrt(2) * identity).expand(terms, width, width)

    @property
    def why_no_likelihood(self) -> str | None:
        return None

    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(draws, *outputs.shape, generator=generator, dtype=outputs.dtype, device=outputs.device)
        return outputs + math.sqrt(VARIANCE) * noise

    def enumerate(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The 2 C nodes ``f +- sqrt(C sigma^2) e_c`` of equal weight.

        They reproduce mean and covariance of the Gaussian, and the gradient is linear in the label, so
        that expectations of outer products of gradients are exact.
        """
        terms, width = outputs.shape
        offsets = math.sqrt(width * VARIANCE) * torch.eye(width, dtype=outputs.dtype, device=outputs.device)
        labels = outputs + torch.cat([offsets, -offsets])[:, None, :]
        return outputs.new_full((2 * width, terms), 1 / (2 * width)), labels

    def kl(self, outputs: Tensor, others: Tensor) -> Tensor:
        return (others - outputs).square().sum(-1) / (2 * VARIANCE)
