"""The natural gradient of softmax regression by a Cholesky factorisation."""

import torch
from torch import Tensor

from fishergauge.reference.pseudo_inverse import solve_psd
from fishergauge.reference.softmax_regression import softmax_regression_fisher, softmax_regression_gradient

RESIDUAL = 1e-8  # relative; beyond it the factorisation is not trusted


def complete_kernel_(fisher: Tensor, num_classes: int) -> Tensor:
    r"""Fill the kernel that every Fisher of softmax regression has, in place.

    A common shift of all logits changes no probability, so that F vanishes on :math:`1 \otimes v`. With
    :math:`\tau` the mean of the diagonal,

    .. math:: \tilde F = F + \tau \, \tfrac{1}{C} 1 1' \otimes I

    is positive definite where F has no other kernel, and agrees with F on the orthogonal complement, in which every
    gradient lies; there :math:`\tilde F^{-1} g = F^+ g`.

    Args:
        fisher: F, ``(CD, CD)``; overwritten.
        num_classes: C.

    Returns:
        The same tensor.

    Example:
        >>> complete_kernel_(torch.tensor([[0.25, -0.25], [-0.25, 0.25]]), 2)
        tensor([[ 0.3750, -0.1250],
                [-0.1250,  0.3750]])
    """
    blocks = fisher.view(num_classes, len(fisher) // num_classes, num_classes, len(fisher) // num_classes)
    blocks.diagonal(dim1=1, dim2=3).add_(fisher.diagonal().mean().clone() / num_classes)
    return fisher


def natural_gradient(fisher: Tensor, gradient: Tensor, num_classes: int) -> Tensor:
    """The natural gradient F^+ g of softmax regression.

    Args:
        fisher: F, ``(CD, CD)``.
        gradient: g, ``(CD,)``, in the range of F.
        num_classes: C.

    Returns:
        ``(CD,)``. Where F has a further kernel (features that depend on each other) it is obtained from the eigenvectors.

    Reference:
        Amari, "Natural gradient works efficiently in learning", Neural Computation 10 (1998), theorem 1.
    """
    factor, info = torch.linalg.cholesky_ex(complete_kernel_(fisher.clone(), num_classes))
    if int(info) == 0:
        step = torch.cholesky_solve(gradient[:, None], factor)[:, 0]
        if float((fisher @ step - gradient).norm()) <= RESIDUAL * float(gradient.norm()):
            return step
    return solve_psd(fisher, gradient)


def both_directions(inputs: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The directions that the experiments compare, and the Fisher.

    Args:
        inputs: ``(N, D)``.
        targets: ``(N,)``.
        weight: W, ``(C, D)``.

    Returns:
        Gradient and natural gradient, ``(2, CD)``; and F, ``(CD, CD)``.
    """
    logits = inputs @ weight.T
    gradient = softmax_regression_gradient(inputs, logits, targets)
    fisher = softmax_regression_fisher(inputs, logits)
    return torch.stack([gradient, natural_gradient(fisher, gradient, len(weight))]), fisher
