"""What a loss module says about labels: the common interface of the likelihoods."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fishergauge.reference.errors import ProblemError, UndefinedError


class Likelihood(ABC):
    r"""The terms of an objective as functions of the model's outputs.

    A *term* is one label. With K terms :math:`\ell_k(z_k, y_k)` of outputs :math:`z_k \in R^C`,

    .. math:: L = \frac{1}{M} \sum_k \ell_k(z_k, y_k),

    where M is what the reduction of the loss divides by (1 under ``sum``). The methods below take the
    outputs of all terms ``(K, C)`` and their labels; :meth:`split` and :meth:`join` go from the outputs
    of the model to terms and back.

    Args:
        loss: the loss module, whose reduction, weights and masks are honoured.

    Raises:
        ProblemError: the reduction is neither ``mean`` nor ``sum``.
    """

    def __init__(self, loss: nn.Module) -> None:
        reduction = loss.reduction
        if reduction not in ("mean", "sum"):
            raise ProblemError(f"{type(loss).__name__} has reduction {reduction!r}; an objective needs 'mean' or 'sum'")
        self.loss = loss
        self.reduction = str(reduction)

    # --- from the outputs of the model to terms -------------------------------------------------

    @abstractmethod
    def split(self, outputs: Tensor) -> Tensor:
        """The terms of each sample: ``(N, T, C)`` from outputs ``(N, ...)``."""

    @abstractmethod
    def labels(self, targets: Tensor) -> Tensor:
        """The labels in the order of :meth:`split`: ``(N T,)`` or ``(N T, C)``."""

    @abstractmethod
    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Refuse targets that do not fit the outputs (ProblemError)."""

    @abstractmethod
    def divisor(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """M, what the reduction divides by: a scalar."""

    def check_divisor(self, outputs: Tensor, targets: Tensor) -> None:
        """Refuse an objective that divides by zero."""
        if not float(self.divisor(outputs, targets)) > 0:
            raise ProblemError("no label counts (all are ignored or have weight 0): a mean over nothing is undefined")

    def present(self, labels: Tensor) -> Tensor:
        """Which terms count, ``(K,)`` of bool: masked labels are absent samples."""
        return torch.ones(len(labels), dtype=torch.bool, device=labels.device)

    # --- one term: value and derivatives with respect to the outputs -----------------------------

    @abstractmethod
    def values(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The un-reduced terms: ``(K,)``."""

    @abstractmethod
    def residuals(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The gradients of the un-reduced terms: ``(K, C)``; zero where a label is masked."""

    def scores(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The gradients of the un-reduced terms at labels of the distribution, ``(K, C)``: none of these is masked.

        A class may serve as the mark of ignored labels; drawn, it is a class like the others.
        """
        return self.residuals(outputs, labels)

    def scores_at(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """:meth:`scores` at several labels a term, ``(S, K)`` or ``(S, K, C)``: ``(K, S, C)``."""
        return torch.stack([self.scores(outputs, label) for label in labels], 1)

    @abstractmethod
    def hessian_root(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Rows b with ``H_k = sum_r b_kr b_kr'``: ``(K, R, C)``; zero where a label is masked."""

    def hessian(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The Hessians of the un-reduced terms: ``(K, C, C)``, from their roots."""
        root = self.hessian_root(outputs, labels)
        return root.mT @ root

    def derivatives(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The residuals, and the products of the Hessians with vectors ``(K, C)`` as a function: what both need, once."""
        root = self.hessian_root(outputs, labels)

        def product(vectors: Tensor) -> Tensor:
            return torch.einsum("krc,kr->kc", root, torch.einsum("krd,kd->kr", root, vectors))

        return self.residuals(outputs, labels), product

    # --- the distribution of labels --------------------------------------------------------------

    @property
    @abstractmethod
    def why_no_likelihood(self) -> str | None:
        """Why the terms are no negative log-likelihood, or None if they are."""

    def require_likelihood(self, quantity: str, targets: Tensor) -> None:
        """Raise UndefinedError if ``quantity`` needs a distribution of labels and there is none."""
        reason = self.why_no_likelihood or self.why_no_labels(targets)
        if reason is not None:
            raise UndefinedError(
                f"{quantity} is not defined here: {reason}, so the objective is no negative log-likelihood. "
                "Its Hessian and GGN are defined; for a Fisher, use the plain loss"
            )

    def why_no_labels(self, targets: Tensor) -> str | None:
        """Why the targets are no labels of the distribution, or None if they are."""
        return None

    @abstractmethod
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        """Labels drawn from the model's distribution: ``(S, K)`` or ``(S, K, C)``."""

    @abstractmethod
    def enumerate(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities ``(L, K)`` and labels ``(L, K)`` or ``(L, K, C)`` over which expectations of
        outer products of gradients are exact."""

    @abstractmethod
    def kl(self, outputs: Tensor, others: Tensor) -> Tensor:
        """KL divergence of the distribution at ``others`` from that at ``outputs``: ``(K,)``."""
