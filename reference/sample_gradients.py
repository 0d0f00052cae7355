"""Gradients of the terms of an objective, one row each."""

from dataclasses import replace

import torch
from torch import Tensor

from fishergauge.reference.empirical_fisher import empirical_fisher
from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.evaluation import plainly
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.layer_root import LayerRoots, probes_all
from fishergauge.reference.layer_statistics import LayerStatistics
from fishergauge.reference.layered import layered_rows
from fishergauge.reference.problem import Problem


def sample_gradients(problem: Problem) -> Tensor:
    r"""The gradients :math:`g_k = J_k' \nabla_z \ell(z_k, y_k)` of the un-reduced terms.

    In a linear layer a gradient is the outer product of the gradient at its outputs and its inputs, summed over its
    positions; all of these are written straight into the rows. Other models are differentiated sample by sample.

    Args:
        problem: K terms, P parameters.

    Returns:
        ``(K, P)`` in the order of the samples and of their terms. Their sum over M is the gradient of the objective, their
        second moment :math:`\frac{1}{M} \sum_k g_k g_k'` the empirical Fisher.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> sample_gradients(Problem(model, torch.nn.MSELoss(), [(torch.ones(2, 1), torch.tensor([[1.0], [2.0]]))]))
        tensor([[-2.],
                [-4.]])

    Reference:
        Goodfellow, "Efficient per-example gradient computations", arXiv:1510.01799 (2015), sec. 4.
    """
    rows = _of_layers(problem) if plainly() and probes_all(problem) else None
    if rows is not None:
        return rows
    matrix = empirical_fisher(problem)
    unreduced = replace(matrix.terms, divisor=torch.ones_like(matrix.terms.divisor))
    return GaussNewton(problem, unreduced, matrix.root).stacked_rows()


def _of_layers(problem: Problem) -> Tensor | None:
    """The gradients by the layers, the model evaluated once for them and their terms; None where there are others."""
    try:
        statistics = LayerStatistics(problem)
        terms = statistics.terms
        residuals = problem.likelihood.residuals(terms.outputs, terms.labels)[:, None]
        unreduced = replace(terms, divisor=torch.ones_like(terms.divisor))
        return layered_rows(LayerRoots(problem, unreduced, residuals, statistics))
    except UnsupportedError:
        return None
