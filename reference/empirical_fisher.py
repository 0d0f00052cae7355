"""The empirical Fisher: outer products of gradients at the observed labels."""

from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.linearization import linearized_terms
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import Terms


def empirical_fisher(problem: Problem, terms: Terms | None = None) -> GaussNewton:
    r"""The second moment of the gradients of the un-reduced terms.

    .. math:: \hat F = \frac{1}{M} \sum_k g_k g_k', \quad g_k = J_k' \nabla_z \ell(z_k, y_k)

    Its expectation over labels drawn from the model is the Fisher; at the observed labels it is neither
    the Fisher nor an estimate of it. A term is one label: positions of one sample count separately.

    Args:
        problem: K terms, P parameters; M is what the reduction divides by.
        terms: its terms, where they are evaluated already.

    Returns:
        An operator of shape (P, P); positive semi-definite.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> empirical_fisher(Problem(model, torch.nn.MSELoss(), [(torch.ones(4, 1), torch.ones(4, 1))])).dense()
        tensor([[4.]])

    Reference:
        Kunstner, Balles and Hennig, "Limitations of the empirical Fisher approximation for natural
        gradient descent", NeurIPS 2019, eq. 3.
    """
    terms = linearized_terms(problem) if terms is None else terms
    return GaussNewton(problem, terms, problem.likelihood.residuals(terms.outputs, terms.labels)[:, None, :])
