"""Identities behind the vector field: GGN against Hessian, and what the empirical Fisher leaves out of the Hessian."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, jacrev, vmap

from fishergauge.reference import Problem, empirical_fisher, ggn
from fishergauge.reference.oracle import oracle_hessian
from fishergauge.reports.gauss_newton.log_normal_regression import STARTS, TRUTH, Data, regression_problem
from fishergauge.reports.gauss_newton.relu_model import relu_problem
from fishergauge.suites.closeness import relative_deviation, rounding_bound


def ggn_rows(data: Data, optimum: Tensor) -> list[dict[str, Any]]:
    """GGN against Hessian at the starts and the optimum, for three models.

    The Hessian is that of double backward passes through the loss, which shares no code with the GGN; the reference Hessian
    would not do, as it is a sum of the GGN and a rest.

    Args:
        data: inputs and targets.
        optimum: of the linear regression.

    Returns:
        Rows with the distance and the bound of rounding: the linear model, the same with a logistic likelihood (labels say
        whether a target is above their mean), and the nonlinear one, where the two must differ.
    """
    inputs, targets = data
    labels = (targets > targets.mean()).to(targets.dtype)
    rows = []
    for place, point in _places(optimum, data):
        linear = regression_problem(data, point)
        problems = {
            "linear, squared error": linear,
            "linear, logistic": Problem(linear.model, nn.BCEWithLogitsLoss(), [(inputs, labels)]),
            "relu, squared error": relu_problem(data, point.abs()),
        }
        for model, problem in problems.items():
            exact = oracle_hessian(problem)
            row = {"model": model, "place": place, "distance": relative_deviation(ggn(problem).dense(), exact)}
            rows.append({**row, "bound": rounding_bound(exact.dtype, len(inputs))})
    return rows


def split_rows(data: Data, optimum: Tensor) -> list[dict[str, Any]]:
    r"""The split :math:`a = -\log b`: matrices by automatic differentiation of the density b, sample by sample.

    .. math:: \nabla^2 a_n = \frac{\nabla b_n \nabla b_n'}{b_n^2} - \frac{\nabla^2 b_n}{b_n}

    Args:
        data: inputs and targets.
        optimum: of the linear regression.

    Returns:
        Rows with the distances, relative to the Hessian, of the first sum from the empirical Fisher and of both from the
        Hessian; the size of the second; and the share of samples whose :math:`\nabla^2 b_n` is not zero.
    """
    inputs, targets = data
    rows = []
    for place, point in _places(optimum, data):
        values, slopes, curvatures = (
            vmap(function, in_dims=(None, 0, 0))(point, inputs[:, 0], targets[:, 0])
            for function in (_density, grad(_density), jacrev(grad(_density)))
        )
        scaled = slopes / values[:, None]
        product = scaled.mT @ scaled / len(inputs)
        left_out = -(curvatures / values[:, None, None]).mean(0)
        problem = regression_problem(data, point)
        exact, empirical = oracle_hessian(problem) / 2, empirical_fisher(problem).dense() / 4
        size = float(exact.norm())
        rows.append(
            {
                "place": place,
                "product_against_empirical": relative_deviation(product, empirical),
                "sum_against_hessian": float((product + left_out - exact).norm()) / size,
                "bound": rounding_bound(exact.dtype, len(inputs)) * float(product.norm() + left_out.norm()) / size,
                "left_out": float(left_out.norm()) / size,
                "share_not_zero": float((curvatures.abs().amax((1, 2)) > 0).double().mean()),
            }
        )
    return rows


def _density(parameters: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The normal density of a target at unit variance around the line."""
    return torch.exp(-((y - parameters[0] * x - parameters[1]) ** 2) / 2) / math.sqrt(2 * math.pi)


def _places(optimum: Tensor, data: Data) -> list[tuple[str, Tensor]]:
    named = {f"start {i}": start for i, start in enumerate(STARTS)}
    points = [(name, torch.tensor(point, dtype=data[0].dtype, device=data[0].device)) for name, point in named.items()]
    return [*points, ("optimum", optimum), ("truth", torch.tensor(TRUTH, dtype=data[0].dtype, device=data[0].device))]
