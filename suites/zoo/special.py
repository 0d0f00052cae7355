"""Data and models in a special position: all pairs, near certainty, other variances, too many parameters, the logits alone."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import Divided, Logits, mlp
from fishergauge.suites.zoo.linear_models import LEAST_SQUARES, LINEAR
from fishergauge.suites.zoo.setting import Setting

GAP = 17.5  # of the logits: p - p p' has lost all digits in float32, and half of them in float64
PRODUCT = Facts(linear_in_parameters=True, piecewise_linear=True, deep_linear=True, product_data=True)


def product_data(s: Setting) -> Problem:
    """Three inputs paired with four residuals, one linear layer with bias."""
    return _all_pairs(s, bias=True)


def product_data_plain(s: Setting) -> Problem:
    """Three inputs paired with four residuals, one linear layer without bias."""
    return _all_pairs(s, bias=False)


def saturated_softmax(s: Setting) -> Problem:
    """Logits apart by 15 to 20, each class the certain one of two samples."""
    classes = torch.arange(6, device=s.device).remainder(3)
    module = s.module(lambda: nn.Linear(3, 3))
    _scale(module, 0.1, "weight", GAP * torch.eye(3))
    _scale(module, 0.1, "bias", torch.zeros(3))
    inputs = torch.eye(3).to(module.get_parameter("weight"))[classes] + 0.02 * s.normal(6, 3)
    loss = nn.CrossEntropyLoss(reduction=s.reduction)
    return s.join(module, loss, [(inputs, s.labels(3, 6))], _saturated())


def saturated_binary(s: Setting) -> Problem:
    """Log-odds between 15 and 20 of both signs, two labels a sample."""
    module = s.module(lambda: nn.Linear(2, 2))
    _scale(module, 0.1, "weight", GAP * torch.eye(2))
    _scale(module, 0.1, "bias", torch.zeros(2))
    signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1], [1, -1]]).to(module.get_parameter("weight"))
    loss = nn.BCEWithLogitsLoss(reduction=s.reduction)
    return s.join(module, loss, [(signs + 0.02 * s.normal(5, 2), s.binary(5, 2))], _saturated())


def gaussian_variances(s: Setting) -> Problem:
    """A linear model whose outputs and targets are divided by standard deviations 0.5 and 3."""
    return _divided(s, nn.Linear(3, 2), LEAST_SQUARES)


def mlp_variances(s: Setting) -> Problem:
    """A smooth network whose outputs and targets are divided by standard deviations 0.5 and 3."""
    return _divided(s, mlp(3, 3, 2)(), Facts())


def overparametrised_gaussian(s: Setting) -> Problem:
    """Least squares with more weights than outputs in all: a singular Fisher."""
    model = lambda: nn.Linear(5, 2, bias=False)  # noqa: E731
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(3, 5), s.normal(3, 2))], LEAST_SQUARES)


def overparametrised_softmax(s: Setting) -> Problem:
    """Softmax regression with more weights than outputs in all: a singular Fisher."""
    data = [(s.normal(3, 4), s.labels(3, 3))]
    return s.problem(lambda: nn.Linear(4, 3), nn.CrossEntropyLoss(reduction=s.reduction), data, LINEAR)


def natural_categorical(s: Setting) -> Problem:
    """One sample whose four logits are the parameters."""
    data = [(s.normal(1, 1), s.labels(4, 1))]
    return s.problem(lambda: Logits(4), nn.CrossEntropyLoss(reduction=s.reduction), data, _natural())


def natural_bernoulli(s: Setting) -> Problem:
    """One sample whose three log-odds are the parameters."""
    data = [(s.normal(1, 1), s.binary(1, 3))]
    return s.problem(lambda: Logits(3), nn.BCEWithLogitsLoss(reduction=s.reduction), data, _natural())


def _saturated() -> Facts:
    return Facts(linear_in_parameters=True, piecewise_linear=True, saturated=True)


def _natural() -> Facts:
    return Facts(linear_in_parameters=True, piecewise_linear=True, natural_parameters=True)


def _scale(module: nn.Module, factor: float, name: str, offset: Tensor) -> None:
    """Replace a parameter p by ``factor * p + offset``."""
    parameter = module.get_parameter(name)
    with torch.no_grad():
        parameter.mul_(factor).add_(offset.to(parameter))


def _all_pairs(s: Setting, bias: bool) -> Problem:
    """All pairs (x_i, r_j) with y = f(x_i) - r_j; the data follow from the parameters."""
    module = s.module(lambda: nn.Linear(2, 3, bias=bias))
    inputs, residuals = s.normal(3, 2).repeat_interleave(4, 0), s.normal(4, 3).repeat(3, 1)
    with torch.no_grad():
        targets = module(inputs) - residuals
    return s.join(module, nn.MSELoss(reduction=s.reduction), [(inputs, targets)], PRODUCT)


def _divided(s: Setting, model: nn.Module, facts: Facts) -> Problem:
    """Squared error in units of standard deviations: a Gaussian of other variances than one half."""
    deviations = torch.tensor([0.5, 3.0])
    data = [(s.normal(7, 3), s.normal(7, 2) / deviations.to(s.device, s.dtype))]
    return s.problem(lambda: nn.Sequential(model, Divided(deviations)), nn.MSELoss(reduction=s.reduction), data, facts)
