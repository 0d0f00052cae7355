"""Convolutions: padding modes, stride and dilation, and single layers whose outputs are the terms."""

import torch
from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import PositionsBeforeChannels
from fishergauge.suites.zoo.setting import Setting

PATCHES = Facts(linear_in_parameters=True, piecewise_linear=True, deep_linear=True, weight_sharing=True, loss_per_position=True)


def cnn_circular(s: Setting) -> Problem:
    """Circular padding with a stride, then a classifier."""
    return _classifier(s, nn.Conv2d(1, 2, 3, stride=2, padding=1, padding_mode="circular"), 4, 8)


def cnn_reflect(s: Setting) -> Problem:
    """Reflecting padding with a dilation and two groups, then a classifier."""
    return _classifier(s, nn.Conv2d(2, 2, 2, dilation=2, padding=1, padding_mode="reflect", groups=2), 2, 8)


def cnn_stride_dilation(s: Setting) -> Problem:
    """Stride 1, dilation 2, a square kernel far from symmetric, no bias: two exchanges that shapes do not show."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 2, 3, stride=1, dilation=2, bias=False), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2))

    module = s.module(model)
    kernel, ramp = module.get_parameter("0.weight"), torch.linspace(-1, 1, 3)
    with torch.no_grad():  # grows along the rows, falls along the columns
        kernel.add_((ramp[:, None] - ramp).to(kernel))
    data = [(s.normal(4, 1, 6, 6), s.binary(4, 2))]
    return s.join(module, nn.BCEWithLogitsLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


def conv_stride(s: Setting) -> Problem:
    """One convolution with stride 2 whose outputs are the terms: K-FAC expand is exact."""
    model = lambda: nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), PositionsBeforeChannels())  # noqa: E731
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(4, 1, 4, 4), s.normal(4, 4, 2))], PATCHES)


def conv_padding(s: Setting) -> Problem:
    """One convolution with stride 2 and zeros around the images, whose outputs are the terms."""
    model = lambda: nn.Sequential(nn.Conv2d(2, 2, 3, stride=2, padding=1), PositionsBeforeChannels())  # noqa: E731
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(3, 2, 4, 4), s.normal(3, 4, 2))], PATCHES)


def _classifier(s: Setting, convolution: nn.Conv2d, size: int, features: int) -> Problem:
    """Square images of that size, a convolution, tanh, and a linear layer on all features."""

    def model() -> nn.Module:
        return nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(features, 3))

    data = [(s.normal(4, convolution.in_channels, size, size), s.labels(3, 4))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))
