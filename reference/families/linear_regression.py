"""Closed forms for linear regression with normal noise, y = x' theta + e, e ~ N(0, sigma^2)."""

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.pseudo_inverse import solve_psd


def linear_regression_fisher(
    inputs: Tensor, variance: float, reduction: str = "mean", variance_is_a_parameter: bool = False
) -> Tensor:
    r"""The Fisher of the weights; of weights and variance, if the variance is a parameter.

    .. math:: F_\theta = \frac{1}{n \sigma^2} X'X, \quad F_{\theta \sigma^2} = 0, \quad F_{\sigma^2} = \frac{1}{2 \sigma^4}

    Under the reduction ``"sum"``, all of it n times.

    Args:
        inputs: X, ``(n, D)``.
        variance: sigma^2, positive.
        reduction: of the negative log-likelihood over samples, ``"mean"`` or ``"sum"``.
        variance_is_a_parameter: appends sigma^2 (not sigma) as the last parameter.

    Returns:
        ``(D, D)`` or ``(D + 1, D + 1)``.

    Raises:
        ProblemError: shapes, variance or reduction make no sense.

    Example:
        >>> linear_regression_fisher(torch.tensor([[1.0], [3.0]]), 0.5, variance_is_a_parameter=True)
        tensor([[10.,  0.],
                [ 0.,  2.]])

    Reference:
        Lehmann and Casella, "Theory of point estimation", 2nd ed. (1998), sec. 2.5 and table 5.1.
    """
    divisor = reduced_over(inputs, reduction)
    if not variance > 0:
        raise ProblemError(f"the variance must be positive, got {variance}")
    of_weights = inputs.T @ inputs / (variance * divisor)
    if not variance_is_a_parameter:
        return of_weights
    of_variance = inputs.new_tensor([[len(inputs) / (2 * variance**2 * divisor)]])
    joint: Tensor = torch.block_diag(of_weights, of_variance)  # type: ignore[no-untyped-call]
    return joint


def linear_regression_gradient(
    inputs: Tensor, targets: Tensor, weights: Tensor, variance: float, reduction: str = "mean"
) -> Tensor:
    r"""The gradient of the negative log-likelihood in the weights, :math:`X'(X \theta - y) / (n \sigma^2)`.

    Args:
        inputs: X, ``(n, D)``.
        targets: y, ``(n,)``.
        weights: theta, ``(D,)``.
        variance: sigma^2, positive.
        reduction: ``"mean"`` or ``"sum"`` (then without 1/n).

    Returns:
        ``(D,)``.

    Raises:
        ProblemError: see :func:`linear_regression_fisher`.

    Example:
        >>> linear_regression_gradient(torch.ones(2, 1), torch.zeros(2), torch.ones(1), 1.0)
        tensor([1.])
    """
    divisor = reduced_over(inputs, reduction)
    check_regression(inputs, targets, weights)
    if not variance > 0:
        raise ProblemError(f"the variance must be positive, got {variance}")
    return inputs.T @ (inputs @ weights - targets) / (variance * divisor)


def linear_regression_natural_gradient(inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    r"""The natural gradient, in which variance and reduction cancel.

    .. math:: F^{-1} \nabla L = (X'X)^{-1} X'(X \theta - y) = \theta - \hat\theta_{LS}

    They cancel only if Fisher and gradient are those of the same objective: a Fisher over the mean with the
    gradient of the sum gives n times this.

    Args:
        inputs: X, ``(n, D)``; of deficient rank the pseudo-inverse is taken.
        targets: y, ``(n,)``.
        weights: theta, ``(D,)``.

    Returns:
        ``(D,)``; to be subtracted.

    Raises:
        ProblemError: shapes do not fit.

    Example:
        >>> linear_regression_natural_gradient(torch.ones(2, 1), torch.tensor([1.0, 3.0]), torch.zeros(1))
        tensor([-2.])

    Reference:
        Martens, JMLR 21 (2020), sec. 9.2.
    """
    reduced_over(inputs, "sum")
    check_regression(inputs, targets, weights)
    return solve_psd(inputs.T @ inputs, inputs.T @ (inputs @ weights - targets))


def reduced_over(inputs: Tensor, reduction: str) -> int:
    """What the reduction divides by.

    Raises:
        ProblemError: inputs are no ``(n, D)``, or the reduction is neither ``"mean"`` nor ``"sum"``.
    """
    if inputs.ndim != 2 or len(inputs) == 0:
        raise ProblemError(f"expected inputs (n, D) with n > 0, got {tuple(inputs.shape)}")
    if reduction not in ("mean", "sum"):
        raise ProblemError(f"the reduction is 'mean' or 'sum', not {reduction!r}")
    return len(inputs) if reduction == "mean" else 1


def check_regression(inputs: Tensor, targets: Tensor, weights: Tensor) -> None:
    """Refuse targets and weights of other shapes: some would broadcast.

    Raises:
        ProblemError: they are not ``(n,)`` and ``(D,)``.
    """
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1] or weights.shape != inputs.shape[1:]:
        raise ProblemError(
            f"inputs {tuple(inputs.shape)}, targets {tuple(targets.shape)} and weights {tuple(weights.shape)} do not fit: "
            "(n, D), (n,) and (D,)"
        )
