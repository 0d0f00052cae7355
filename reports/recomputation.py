"""E3 and E4 as they should be: every approximation computed anew from the reparametrised model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference.pseudo_inverse import range_eigenpairs
from fishergauge.reference.softmax_regression import (
    softmax_regression_empirical_fisher,
    softmax_regression_fisher,
    softmax_regression_gradient,
    softmax_regression_kfac,
)
from fishergauge.reports.data import DataSet
from fishergauge.reports.reparametrisation import Reparametrisation
from fishergauge.reports.transport import without_shift

METHODS = ("exact", "kfac", "empirical", "diagonal", "sgd")
CONSTANT = 10.0


@dataclass(frozen=True, eq=False)
class Step:
    """A step of length one, computed in other coordinates and pushed back.

    Args:
        raw: the change of W, ``(C, D)``.
        change: the same less its mean over the classes, which changes no probability.
        rank: number of eigenvalues above the cut-off.
        condition: the largest eigenvalue over the smallest one above the cut-off.
        amplification: condition number of the pushed-back step, K in :func:`rounding_bound`.
    """

    raw: Tensor
    change: Tensor
    rank: int
    condition: float
    amplification: float


def recomputed_step(
    method: str, data: DataSet, weight: Tensor, coordinates: Reparametrisation, cutoff: float | None = None
) -> Step:
    r"""The step :math:`-F_\varphi^+ g_\varphi` of the reparametrised model, pushed back.

    Features, gradient and matrix are those of the model :math:`\Phi z`: nothing of the original coordinates'
    matrix is used. The pseudo-inverse's cut-off lies between the rounding noise, a few eps, and the smallest
    true eigenvalue, ``1 / cond``: P eps by default.

    Args:
        method: one of :data:`METHODS`; the diagonal is that of the exact Fisher, SGD has the identity.
        data: the training part is used.
        weight: W, ``(C, D)``.
        coordinates: the change of coordinates.
        cutoff: relative to the largest eigenvalue.

    Returns:
        The step.

    Raises:
        ValueError: there is no such method.
    """
    z = coordinates.features(data.inputs)
    logits = z @ coordinates.weight(weight).T
    gradient = softmax_regression_gradient(z, logits, data.targets)
    if method == "diagonal":
        return _diagonal_step(softmax_regression_fisher(z, logits).diagonal(), gradient, coordinates)
    if method == "sgd":
        return _diagonal_step(torch.ones_like(gradient), gradient, coordinates)
    return dense_step(recomputed_matrix(method, z, logits, data.targets), gradient, coordinates, cutoff)


def recomputed_matrix(method: str, z: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """The matrix of a method by its own definition on the features z, ``(CD, CD)``."""
    if method == "exact":
        return softmax_regression_fisher(z, logits)
    if method == "kfac":
        return softmax_regression_kfac(z, logits)
    if method == "empirical":
        return softmax_regression_empirical_fisher(z, logits, labels)
    raise ValueError(f"there is no method {method!r}; choose from {', '.join(METHODS)}")


def dense_step(matrix: Tensor, gradient: Tensor, coordinates: Reparametrisation, cutoff: float | None = None) -> Step:
    """The step of a dense matrix and a gradient in other coordinates, ``(CD, CD)`` and ``(CD,)``."""
    values, vectors = range_eigenpairs(matrix, cutoff)
    step = -(vectors @ ((vectors.T @ gradient) / values))
    num_features = len(coordinates.forward)
    # the Gram matrix of (I kron T') V / lambda, whose largest eigenvalue is the squared norm of (I kron T') F^+ on the
    # range; the kernel's direction, a common shift of the logits, is taken out of V
    scaled = ((vectors / values).T).reshape(len(values), -1, num_features)
    scaled = ((scaled - scaled.mean(1, keepdim=True)) @ coordinates.forward).flatten(1)
    norm = float(torch.linalg.eigvalsh(scaled @ scaled.T)[-1].sqrt())
    return _pushed_back(step, coordinates, len(values), float(values[-1]), float(values[0]), norm)


def _diagonal_step(diagonal: Tensor, gradient: Tensor, coordinates: Reparametrisation) -> Step:
    """The step of a positive diagonal matrix given as ``(CD,)``."""
    blocks = diagonal.reciprocal().reshape(-1, len(coordinates.forward))
    norm = float(torch.linalg.matrix_norm(blocks[:, :, None] * coordinates.forward, 2).max())
    return _pushed_back(-gradient / diagonal, coordinates, len(diagonal), float(diagonal.max()), float(diagonal.min()), norm)


def _pushed_back(step: Tensor, coordinates: Reparametrisation, rank: int, largest: float, smallest: float, norm: float) -> Step:
    raw = coordinates.push_back(step.reshape(-1, len(coordinates.forward)))
    change = without_shift(raw, len(raw))
    amplification = norm * largest * float(step.norm()) / float(change.norm())
    return Step(raw, change, rank, largest / smallest, amplification)


def rounding_bound(step: Step, reference: Step) -> float:
    r"""How far rounding alone may take apart the steps of an invariant method, relative to the step (2-norm).

    Let A be the matrix in the coordinates phi on its range, :math:`S = I \otimes T'` the map that pushes a step
    back, d the exact step, :math:`A d = -g`. A symmetric eigensolver and sums of N terms are backward stable:
    the computed step solves :math:`(A + E) \hat d = -g + e` with :math:`\|E\|, \|e\| / \|d\| \le c \epsilon \|A\|`.
    To first order

    .. math::
        \|S (\hat d - d)\| = \|S A^{-1} (e - E d)\| \le 2 c \epsilon \, \|S A^{-1}\| \|A\| \|d\|
        =: 2 c \epsilon \, K \, \|S d\|.

    The bound is :math:`10 \epsilon (K_\varphi + K_\theta)`: the small constant 10 = 2 c, one K for either step that is
    compared. For the maps here K is near cond(A), so that this is theorem T13's
    :math:`10 \epsilon \, cond(F_\varphi)`; in general :math:`K \le \kappa \, cond(A)`,
    since :math:`\|S A^{-1}\| \|d\| \le \kappa \|A^{-1}\| \|S d\|`,
    and :math:`K \le \kappa^2 cond(A_\theta)`, by :math:`S A^{-1} = A_\theta^{-1} S^{-T}`.

    This holds on the range. The kernel of every softmax matrix contains the common shifts of all logits, in every
    coordinates the same subspace. There an eigensolver leaves :math:`P_0 E A^{-1} d`, of size
    :math:`\epsilon \, cond(A) \|d\|` in *all* directions of feature space, and pushing back multiplies it by up to
    :math:`\|S\|`, so that it grows as :math:`\kappa \, cond(A) \propto \kappa^3`. It changes no probability. Steps are
    therefore compared less their mean over the classes.

    Args:
        step: in the coordinates phi.
        reference: the same in the original coordinates.

    Returns:
        The bound.

    Reference:
        Higham, "Accuracy and stability of numerical algorithms", 2nd ed. (2002), thm 7.2; Wedin, BIT 13 (1973) for the kernel.
    """
    return CONSTANT * torch.finfo(step.raw.dtype).eps * (step.amplification + reference.amplification)


def logits_bound(weight: Tensor, inputs: Tensor, kappa: float) -> float:
    r"""How far rounding alone may take apart the logits of a model and of its reparametrised form.

    Forming z, Phi and their product each costs at most D eps relative to the product of norms, and so does the
    inverse of T: :math:`4 D \epsilon \kappa \max_c \|w_c\| \max_n \|x_n\|`.
    """
    scale = float(weight.norm(dim=1).max() * inputs.norm(dim=1).max())
    return 4 * weight.shape[1] * torch.finfo(weight.dtype).eps * kappa * scale
