"""The Fisher information matrix, by enumeration of labels or from output Hessians."""

from typing import Literal

from torch import Tensor

from fishergauge.reference.errors import UndefinedError
from fishergauge.reference.evaluation import plainly
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.ggn import ggn
from fishergauge.reference.linearization import linearized_terms
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import Terms


def fisher(problem: Problem, kind: Literal[1, 2] = 1, terms: Terms | None = None) -> GaussNewton:
    r"""The exact Fisher information of the model's distribution of labels.

    .. math::
        F = \frac{1}{M} \sum_k \mathrm E_{y \sim p(\cdot | z_k)} [g_k(y) g_k(y)']
          = \frac{1}{M} \sum_k J_k' \, \mathrm E_y[\nabla_z^2 \ell(z_k, y)] \, J_k

    with :math:`g_k(y) = J_k' \nabla_z \ell(z_k, y)`. Type 1 evaluates the first form, enumerating the
    labels (exact quadrature nodes for the Gaussian), type 2 the second.

    Args:
        problem: K terms, P parameters; M is what the reduction divides by.
        kind: 1 or 2, the form.
        terms: those of the problem, where they are evaluated already.

    Returns:
        An operator of shape (P, P); positive semi-definite and independent of the observed labels.

    Raises:
        UndefinedError: the objective is no negative log-likelihood (class weights, ``pos_weight``, label
            smoothing, soft targets).
        UnsupportedError: type 1 with more than twelve binary labels a term.

    Example:
        >>> import torch
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> fisher(problem).dense().round(decimals=4)
        tensor([[2., 2.],
                [2., 2.]])

    Reference:
        Amari, "Natural gradient works efficiently in learning", Neural Computation 10 (1998); the two
        types: Soen and Sun, "On the variance of the Fisher information for deep learning", NeurIPS 2021, eq. 2.
    """
    problem.likelihood.require_likelihood("the Fisher", problem.targets)
    if kind == 2:
        return ggn(problem, terms)  # the output Hessians of a log-likelihood do not depend on the label
    if kind != 1:
        raise UndefinedError(f"the Fisher is of type 1 or 2, not {kind!r}")
    terms = linearized_terms(problem) if terms is None else terms
    weights, labels = problem.likelihood.enumerate(terms.outputs)
    root, scales = label_gradients(problem, terms, labels), weights.T.sqrt()[:, :, None]
    return GaussNewton(problem, terms, root.mul_(scales) if plainly() else root * scales)


def label_gradients(problem: Problem, terms: Terms, labels: Tensor) -> Tensor:
    """Gradients with respect to the outputs at several labels a term, zero where the observed one is masked.

    Args:
        problem: the problem.
        terms: its K terms.
        labels: ``(S, K)`` or ``(S, K, C)``.

    Returns:
        ``(K, S, C)``.
    """
    present = problem.likelihood.present(terms.labels)
    gradients = problem.likelihood.scores_at(terms.outputs, labels)
    return gradients if plainly() and bool(present.all()) else gradients * present[:, None, None]
