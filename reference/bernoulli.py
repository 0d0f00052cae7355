"""Binary cross-entropy: independent Bernoulli variables with the outputs as log-odds."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishergauge.reference.elementwise import ElementwiseLikelihood
from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.stable_exponential import categorical_kl

MOST_ENUMERATED = 12  # 4096 label vectors a term


class Bernoulli(ElementwiseLikelihood):
    r"""Terms :math:`\ell = -\sum_c w_c (q_c y_c \log s_c + (1 - y_c) \log(1 - s_c))`, s the sigmoid of the outputs.

    With weight w and ``pos_weight`` q absent the term is the negative log-likelihood of C independent
    labels. Gradient and Hessian per output are
    :math:`w ((1 - y) s - q y (1 - s))` and :math:`w (1 - y + q y) s (1 - s)`.

    Reference:
        Martens, "New insights and perspectives on the natural gradient method", JMLR 21 (2020), sec. 9.2.
    """

    loss: nn.BCEWithLogitsLoss

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        super().check(outputs, targets)
        if targets.numel() and not (float(targets.min()) >= 0 and float(targets.max()) <= 1):
            raise ProblemError("targets of BCEWithLogitsLoss must lie between 0 and 1")
        width = outputs.shape[-1] if outputs.ndim > 1 else 1
        per_output: list[tuple[int, ...]] = [(), (1,), (width,)]
        per_sample: list[tuple[int, ...]] = []
        if outputs.ndim == 1:
            per_sample = [(len(outputs),)]
        elif outputs.ndim == 2:
            per_sample = [(len(outputs), 1), (len(outputs), width)]
        for name, value, shapes in (
            ("weight", self.loss.weight, per_output + per_sample),
            ("pos_weight", self.loss.pos_weight, per_output),
        ):
            if value is not None and tuple(value.shape) not in shapes:
                allowed = ", ".join(map(str, dict.fromkeys(shapes)))
                raise ProblemError(
                    f"BCEWithLogitsLoss: {name} {tuple(value.shape)} does not fit all outputs together, "
                    f"{tuple(outputs.shape)}; it may have the shapes {allowed}"
                )
            if value is not None and bool((value < 0).any()):
                raise ProblemError(f"BCEWithLogitsLoss: {name} must not be negative; the GGN would be indefinite")

    def values(self, outputs: Tensor, labels: Tensor) -> Tensor:
        weight, positive = self._weights(outputs)
        loss = functional.binary_cross_entropy_with_logits(outputs, labels, weight, pos_weight=positive, reduction="none")
        return loss.sum(-1)

    def residuals(self, outputs: Tensor, labels: Tensor) -> Tensor:
        weight, positive = self._weights(outputs)
        return weight * ((1 - labels) * outputs.sigmoid() - positive * labels * (-outputs).sigmoid())

    def hessian_root(self, outputs: Tensor, labels: Tensor) -> Tensor:
        weight, positive = self._weights(outputs)
        curvature = weight * (1 - labels + positive * labels) * outputs.sigmoid() * (-outputs).sigmoid()
        return torch.diag_embed(curvature.sqrt())

    @property
    def why_no_likelihood(self) -> str | None:
        if self.loss.weight is not None:
            return "BCEWithLogitsLoss has a weight"
        if self.loss.pos_weight is not None:
            return "BCEWithLogitsLoss has a pos_weight"
        return None

    def why_no_labels(self, targets: Tensor) -> str | None:
        binary = bool(((targets == 0) | (targets == 1)).all())
        return None if binary else "the targets are probabilities, not labels 0 and 1"

    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(outputs.sigmoid().expand(draws, *outputs.shape), generator=generator)

    def enumerate(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """All 2^C label vectors of a term.

        Raises:
            UnsupportedError: there are more than 4096 of them.
        """
        terms, width = outputs.shape
        if width > MOST_ENUMERATED:
            raise UnsupportedError(
                f"{width} binary labels a term have 2^{width} values, too many to enumerate; take the Fisher of type 2 "
                "(from output Hessians), which equals type 1 here, or the Monte-Carlo Fisher"
            )
        codes = torch.arange(2**width, device=outputs.device)
        bits = (codes[:, None] >> torch.arange(width, device=outputs.device)) & 1
        labels = bits.to(outputs.dtype)[:, None, :].expand(-1, terms, -1)
        signs = 2 * labels - 1
        return (signs * outputs).sigmoid().prod(-1), labels

    def kl(self, outputs: Tensor, others: Tensor) -> Tensor:
        pair = torch.stack([torch.zeros_like(outputs), outputs], -1)
        other_pair = torch.stack([torch.zeros_like(others), others], -1)
        return categorical_kl(pair, other_pair).sum(-1)

    def _weights(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """weight and pos_weight, ones where there are none, broadcasting against ``(K, C)``."""
        one = outputs.new_ones(1)
        weight, positive = self.loss.weight, self.loss.pos_weight
        if weight is not None and weight.ndim == 1 and outputs.shape[-1] == 1:
            weight = weight[:, None]  # outputs with the sample axis alone
        return (one if weight is None else weight), (one if positive is None else positive)
