"""E3 and E4 as published: a finished matrix is transported to other coordinates by congruence."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from fishergauge.reference.pseudo_inverse import solve_psd
from fishergauge.reference.softmax_regression import (
    softmax_regression_empirical_fisher,
    softmax_regression_fisher,
    softmax_regression_gradient,
    softmax_regression_kfac,
)
from fishergauge.reports.data import DataSet
from fishergauge.reports.initial_parameters import initial_parameters

Steps = dict[str, dict[float, Tensor]]
"""The step in the original coordinates, ``(CD,)``, by method and kappa."""

PLACEHOLDERS = ("identity", "diagonal", "random")
"""What is put in the place of the Fisher to see whether the protocol notices: I, diag(F), a random SPD matrix."""


def transported_steps(
    data: DataSet, seed: int, kappas: Sequence[float], eta: float, rcond: float, methods: Sequence[str]
) -> Steps:
    r"""The notebook's protocol, with every matrix formed by its closed form.

    .. math:: \Delta\theta(\kappa) = -\eta \, S (S F S)^+ S g, \qquad S = I \otimes \mathrm{diag}(s)

    For an invertible F the scaling cancels, :math:`S S^{-1} F^{-1} S^{-1} S g = F^{-1} g`, whatever F is: only
    rounding and the cut-off are left to be measured. Arguments and result are those of
    :func:`fishergauge.reports.notebook_e4.run_notebook_e4`; besides its methods there are :data:`PLACEHOLDERS`.
    """
    weight = initial_parameters(seed, data.num_features, data.num_classes, str(data.inputs.device))
    logits = data.inputs @ weight.T
    gradient = softmax_regression_gradient(data.inputs, logits, data.targets)
    built: dict[str, Tensor] = {}
    steps: Steps = {method: {} for method in methods}
    for method in methods:
        if method != "sgd":
            matrix = published_matrix(method, data, logits, built)
        for kappa in kappas:
            scale = feature_scale(kappa, data.num_features, gradient).repeat(data.num_classes)
            if method == "sgd":
                steps[method][kappa] = scale * (-eta * (scale * gradient))
            else:
                transported = (scale[:, None] * matrix).mul_(scale)
                steps[method][kappa] = scale * (-eta * solve_psd(transported, scale * gradient, rcond))
    return steps


def published_matrix(method: str, data: DataSet, logits: Tensor, built: dict[str, Tensor]) -> Tensor:
    """The matrix of a method in the original coordinates, ``(CD, CD)``; kept in ``built`` where another one needs it."""
    size = data.num_classes * data.num_features
    if method == "identity":
        return torch.eye(size, dtype=logits.dtype, device=logits.device)
    if method == "random":
        draws = torch.randn(size, 2 * size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(logits.device)
        return draws @ draws.T / (2 * size)
    if method == "diagonal":
        return torch.diag(published_matrix("exact", data, logits, built).diagonal())
    forms: dict[str, Callable[[], Tensor]] = {
        "exact": lambda: softmax_regression_fisher(data.inputs, logits),
        "kfac": lambda: softmax_regression_kfac(data.inputs, logits),
        "empirical": lambda: softmax_regression_empirical_fisher(data.inputs, logits, data.targets),
    }
    if method not in forms:
        raise ValueError(f"there is no method {method!r}; choose from {', '.join((*forms, 'sgd', *PLACEHOLDERS))}")
    if method not in built:
        built[method] = forms[method]()
    return built[method]


def feature_scale(kappa: float, num_features: int, like: Tensor) -> Tensor:
    """s: sqrt(kappa) for the first half of the features, 1/sqrt(kappa) for the others, ``(D,)``."""
    scale = torch.full((num_features,), 1 / math.sqrt(kappa), device=like.device, dtype=like.dtype)
    scale[: num_features // 2] = math.sqrt(kappa)
    return scale


def deviations(steps: Mapping[float, Tensor]) -> dict[float, float]:
    """The notebook's measure, max |dtheta(kappa) - dtheta(kappa_0)|, for each kappa but the first one."""
    (_, reference), *others = steps.items()
    return {kappa: float((step - reference).abs().max()) for kappa, step in others}


def without_shift(step: Tensor, num_classes: int) -> Tensor:
    """A step less its mean over the classes: a common shift of all logits changes no probability."""
    by_class = step.reshape(num_classes, -1)
    return by_class - by_class.mean(0)
