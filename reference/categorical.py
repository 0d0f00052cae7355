"""Cross-entropy: a categorical distribution with the outputs as logits."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.evaluation import plainly
from fishergauge.reference.likelihood import Likelihood
from fishergauge.reference.stable_exponential import categorical_kl, complements


class Categorical(Likelihood):
    r"""Terms :math:`\ell = -\sum_c t_c \log p_c` with p the softmax of the outputs.

    The soft target is ``t = w * ((1 - a) e_y + a / C)`` with class weights w and label smoothing a; for
    the plain loss t = e_y and the term is the negative log-likelihood of the label y. With
    :math:`s = \sum_c t_c`, gradient and Hessian are :math:`s p - t` and :math:`s (diag(p) - p p')`. The
    class axis of the outputs is their second one, further axes are positions.

    Raises:
        ProblemError: as :class:`Likelihood`.

    Reference:
        Martens, "New insights and perspectives on the natural gradient method", JMLR 21 (2020), sec. 9.2.
    """

    loss: nn.CrossEntropyLoss

    def split(self, outputs: Tensor) -> Tensor:
        return outputs.movedim(1, -1).reshape(len(outputs), -1, outputs.shape[1])

    def labels(self, targets: Tensor) -> Tensor:
        return self.split(targets).flatten(0, 1) if targets.is_floating_point() else targets.reshape(-1)

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        if outputs.ndim < 2:
            raise ProblemError(f"CrossEntropyLoss needs outputs (N, C, ...), got {tuple(outputs.shape)}")
        weight = self.loss.weight
        if weight is not None and (len(weight) != outputs.shape[1] or weight.dtype != outputs.dtype):
            raise ProblemError(
                f"class weights {tuple(weight.shape)} of {weight.dtype} do not fit outputs with {outputs.shape[1]} "
                f"classes of {outputs.dtype}"
            )
        if weight is not None and bool((weight < 0).any()):
            raise ProblemError("class weights must not be negative; the GGN would be indefinite")
        if targets.is_floating_point():
            if targets.shape != outputs.shape or targets.dtype != outputs.dtype:
                raise ProblemError(f"class probabilities must have the shape {tuple(outputs.shape)} and dtype of the outputs")
            return
        if targets.dtype != torch.long:
            raise ProblemError(f"class labels must be torch.long, not {targets.dtype}")
        expected = (len(outputs), *outputs.shape[2:])
        if targets.shape != expected:
            raise ProblemError(
                f"outputs {tuple(outputs.shape)} need labels {expected}, got {tuple(targets.shape)}; the class axis is the "
                "second one"
            )
        counted = targets[targets != self.loss.ignore_index]
        if counted.numel() and not (int(counted.min()) >= 0 and int(counted.max()) < outputs.shape[1]):
            raise ProblemError(
                f"labels run from {int(counted.min())} to {int(counted.max())}, outside 0 to {outputs.shape[1] - 1}; "
                f"mask absent ones with ignore_index ({self.loss.ignore_index})"
            )

    def divisor(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.reduction == "sum":
            return outputs.new_tensor(1.0)
        if targets.is_floating_point():
            return outputs.new_tensor(outputs.numel() / outputs.shape[1])
        counted = targets[targets != self.loss.ignore_index]
        if self.loss.weight is None:
            return outputs.new_tensor(float(counted.numel()))
        return self.loss.weight[counted].sum()

    def present(self, labels: Tensor) -> Tensor:
        return super().present(labels) if labels.is_floating_point() else labels != self.loss.ignore_index

    def values(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs,
            labels,
            weight=self.loss.weight,
            ignore_index=self.loss.ignore_index,
            reduction="none",
            label_smoothing=self.loss.label_smoothing,
        )

    def residuals(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return self._residuals(probabilities(outputs), labels)

    def scores(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return self._scores(probabilities(outputs), labels)

    def scores_at(self, outputs: Tensor, labels: Tensor) -> Tensor:
        if labels.is_floating_point() or self.loss.weight is not None or self.loss.label_smoothing:
            return super().scores_at(outputs, labels)
        p, own = probabilities(outputs), labels.T
        return p[:, None].expand(-1, len(labels), -1).scatter(2, own[..., None], -complements(p).gather(1, own)[..., None])

    def _residuals(self, p: Tensor, labels: Tensor) -> Tensor:
        if labels.is_floating_point():
            return self._scores(p, labels)
        present = self.present(labels)
        if plainly() and bool(present.all()):
            return self._scores(p, labels)
        return self._scores(p, self._safe(labels)) * present[:, None]

    def _scores(self, p: Tensor, labels: Tensor) -> Tensor:
        weight, smoothing = self.loss.weight, self.loss.label_smoothing
        if labels.is_floating_point():
            target = self._soft_target(p, labels)
            return target.sum(-1, keepdim=True) * p - target
        safe = labels[:, None]
        # p - e_y with its negative entry taken as the sum of the others: exact for confident outputs
        others = p.scatter(1, safe, 0.0)
        residual = others.scatter(1, safe, -others.sum(-1, keepdim=True))
        if weight is not None:
            residual = weight[safe] * residual
        if smoothing:
            weight = self._weight(p)
            residual = (1 - smoothing) * residual + smoothing / len(weight) * (weight.sum() * p - weight)
        return residual

    def hessian_root(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Rows ``sqrt(s p_c) (e_c - p)``, whose products keep relative accuracy however confident p is."""
        p = probabilities(outputs)
        mass = self._masses(outputs, labels)
        scale = (p if mass is None else mass[:, None] * p).sqrt()
        rows = -scale[:, :, None] * p[:, None, :]
        rows.diagonal(dim1=-2, dim2=-1).copy_(scale * complements(p))
        return rows

    def derivatives(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The products without roots, from differences to the likeliest class: accurate however confident p is."""
        largest, likeliest = outputs.max(-1, keepdim=True)
        p = probabilities(outputs, largest)
        masses = self._masses(outputs, labels)
        weighed = p if masses is None else masses[:, None] * p

        def product(vectors: Tensor) -> Tensor:
            differences = vectors - vectors.gather(-1, likeliest)
            return weighed * (differences - (p * differences).sum(-1, keepdim=True))

        return self._residuals(p, labels), product

    def _masses(self, outputs: Tensor, labels: Tensor) -> Tensor | None:
        """s, zero where the label is masked, ``(K,)``; None where all are one."""
        plain = self.loss.weight is None and not self.loss.label_smoothing and not labels.is_floating_point()
        if plain:
            present = self.present(labels)
            return None if plainly() and bool(present.all()) else present.to(outputs.dtype)
        return self._soft_target(outputs, labels).sum(-1) * self.present(labels)

    @property
    def why_no_likelihood(self) -> str | None:
        if self.loss.weight is not None:
            return "CrossEntropyLoss has class weights"
        if self.loss.label_smoothing:
            return "CrossEntropyLoss has label smoothing"
        return None

    def why_no_labels(self, targets: Tensor) -> str | None:
        return "the targets are class probabilities, not labels" if targets.is_floating_point() else None

    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        return torch.multinomial(probabilities(outputs), draws, replacement=True, generator=generator).T

    def enumerate(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        terms, width = outputs.shape
        labels = torch.arange(width, device=outputs.device)[:, None].expand(width, terms)
        return probabilities(outputs).T, labels

    def kl(self, outputs: Tensor, others: Tensor) -> Tensor:
        return categorical_kl(outputs, others)

    def _weight(self, outputs: Tensor) -> Tensor:
        """The class weights, ones where there are none: ``(C,)``."""
        return self.loss.weight if self.loss.weight is not None else outputs.new_ones(outputs.shape[-1])

    def _safe(self, labels: Tensor) -> Tensor:
        """The labels with masked ones replaced by class 0, so that they can index."""
        return labels.masked_fill(~self.present(labels), 0)

    def _soft_target(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """t, the coefficients of ``-log p``: ``(K, C)``."""
        if not labels.is_floating_point():
            labels = functional.one_hot(self._safe(labels), outputs.shape[-1]).to(outputs.dtype)
        smoothing = self.loss.label_smoothing
        smooth = (1 - smoothing) * labels + smoothing / outputs.shape[-1]
        # torch weighs the label of a hard target as a whole and every class of the smooth part, as here
        return self._weight(outputs) * smooth


def probabilities(outputs: Tensor, largest: Tensor | None = None) -> Tensor:
    """The softmax along the last axis: for a few classes, torch's own is several times slower on a CPU.

    Args:
        outputs: ``(K, C)``.
        largest: of each row, ``(K, 1)``, where it is known.
    """
    exponentials = (outputs - (outputs.amax(-1, keepdim=True) if largest is None else largest)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)
