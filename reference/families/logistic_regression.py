"""Closed forms for logistic regression, p(y = 1 | x) = s(x' theta)."""

import torch
from torch import Tensor
from torch.nn import functional

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.families.linear_regression import check_regression, reduced_over


def logistic_regression_fisher(inputs: Tensor, weights: Tensor, reduction: str = "mean") -> Tensor:
    r"""The Fisher, which equals the Hessian and does not depend on the labels.

    .. math:: F = \frac{1}{n} X' \mathrm{diag}(s_i (1 - s_i)) X, \quad s_i = s(x_i' \theta)

    Args:
        inputs: X, ``(n, D)``; append a column of ones for a bias.
        weights: theta, ``(D,)``.
        reduction: of the negative log-likelihood over samples, ``"mean"`` or ``"sum"`` (then without 1/n).

    Returns:
        ``(D, D)``.

    Raises:
        ProblemError: shapes do not fit, or the reduction makes no sense.

    Example:
        >>> logistic_regression_fisher(torch.tensor([[2.0]]), torch.zeros(1))
        tensor([[1.]])

    Reference:
        McCullagh and Nelder, "Generalized linear models", 2nd ed. (1989), sec. 4.4.1.
    """
    if inputs.ndim != 2 or weights.shape != inputs.shape[1:]:
        raise ProblemError(f"inputs {tuple(inputs.shape)} and weights {tuple(weights.shape)} do not fit: (n, D) and (D,)")
    logits = inputs @ weights
    variances = logits.sigmoid() * (-logits).sigmoid()  # 1 - s without cancellation
    return inputs.T @ (variances[:, None] * inputs) / reduced_over(inputs, reduction)


def logistic_regression_empirical_fisher(inputs: Tensor, targets: Tensor, weights: Tensor, reduction: str = "mean") -> Tensor:
    r"""The empirical Fisher: outer products of the gradients at the given labels.

    .. math:: \hat F = \frac{1}{n} X' \mathrm{diag}((s_i - y_i)^2) X

    Its expectation over labels of the model is the Fisher.

    Args:
        inputs: X, ``(n, D)``.
        targets: y, ``(n,)``, zeros and ones.
        weights: theta, ``(D,)``.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        ``(D, D)``.

    Raises:
        ProblemError: see :func:`logistic_regression_fisher`; or a target is neither zero nor one.

    Example:
        >>> logistic_regression_empirical_fisher(torch.tensor([[2.0]]), torch.ones(1), torch.zeros(1))
        tensor([[1.]])

    Reference:
        Kunstner, Balles and Hennig, "Limitations of the empirical Fisher approximation", NeurIPS 2019, sec. 1.
    """
    residuals = _residuals(inputs, targets, weights)
    return inputs.T @ (residuals.square()[:, None] * inputs) / reduced_over(inputs, reduction)


def logistic_regression_gradient(inputs: Tensor, targets: Tensor, weights: Tensor, reduction: str = "mean") -> Tensor:
    r"""The gradient of the negative log-likelihood, :math:`\frac{1}{n} X'(s - y)`.

    Args:
        inputs: X, ``(n, D)``.
        targets: y, ``(n,)``, zeros and ones.
        weights: theta, ``(D,)``.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        ``(D,)``.

    Raises:
        ProblemError: see :func:`logistic_regression_fisher`; or a target is neither zero nor one.

    Example:
        >>> logistic_regression_gradient(torch.tensor([[2.0]]), torch.ones(1), torch.zeros(1))
        tensor([-1.])
    """
    return inputs.T @ _residuals(inputs, targets, weights) / reduced_over(inputs, reduction)


def logistic_regression_loss(inputs: Tensor, targets: Tensor, weights: Tensor, reduction: str = "mean") -> Tensor:
    r"""The negative log-likelihood, :math:`\frac{1}{n} \sum_i \log(1 + e^{z_i}) - y_i z_i`.

    Args:
        inputs: X, ``(n, D)``.
        targets: y, ``(n,)``, zeros and ones.
        weights: theta, ``(D,)``.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        A scalar.

    Raises:
        ProblemError: see :func:`logistic_regression_fisher`; or a target is neither zero nor one.

    Example:
        >>> logistic_regression_loss(torch.ones(1, 1), torch.ones(1), torch.zeros(1))
        tensor(0.6931)
    """
    reduced_over(inputs, reduction)
    labels = binary_labels(inputs, targets, weights)
    return functional.binary_cross_entropy_with_logits(inputs @ weights, labels, reduction=reduction)


def binary_labels(inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The targets in the dtype of the inputs.

    Raises:
        ProblemError: shapes do not fit, or a target is neither zero nor one.
    """
    check_regression(inputs, targets, weights)
    if not bool(((targets == 0) | (targets == 1)).all()):
        raise ProblemError("targets are zeros and ones; labels of -1 and 1 become (y + 1) / 2")
    return targets.to(inputs.dtype)


def _residuals(inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """s - y, without cancellation where y is one."""
    labels, logits = binary_labels(inputs, targets, weights), inputs @ weights
    return torch.where(labels == 1, -(-logits).sigmoid(), logits.sigmoid())
