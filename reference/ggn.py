"""The generalised Gauss-Newton matrix."""

from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.linearization import linearized_terms
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import Terms


def ggn(problem: Problem, terms: Terms | None = None) -> GaussNewton:
    r"""The generalised Gauss-Newton matrix of the objective.

    .. math:: G = \frac{1}{M} \sum_k J_k' H_k J_k

    with :math:`J_k` the Jacobian of the outputs of term k and :math:`H_k` the Hessian of the un-reduced
    term with respect to them, class weights, ``pos_weight`` and label smoothing of the observed labels
    included.

    Args:
        problem: K terms, P parameters; M is what the reduction divides by.
        terms: its terms, where they are evaluated already.

    Returns:
        An operator of shape (P, P); positive semi-definite.

    Example:
        >>> import torch
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> ggn(problem).dense()
        tensor([[2.0000, 2.0000],
                [2.0000, 2.0000]])

    Reference:
        Schraudolph, "Fast curvature matrix-vector products", Neural Computation 14 (2002), eq. 6;
        Martens, JMLR 21 (2020), sec. 8.
    """
    terms = linearized_terms(problem) if terms is None else terms
    return GaussNewton(problem, terms, problem.likelihood.hessian_root(terms.outputs, terms.labels))
