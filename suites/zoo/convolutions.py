"""Convolutions: padding modes, stride and dilation, and single layers whose outputs are the terms."""

from dataclasses import replace

import torch
from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.kinks import away_from_kinks
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


def image_regression(s: Setting) -> Problem:
    """One convolution whose kernel, stride, dilation and padding differ between the axes: K-FAC expand is exact."""

    def model() -> nn.Module:
        convolution = nn.Conv2d(2, 2, (3, 2), stride=(2, 1), dilation=(1, 2), padding=(1, 0))
        return nn.Sequential(convolution, PositionsBeforeChannels())

    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(3, 2, 4, 5), s.normal(3, 6, 2))], PATCHES)


def deep_linear_convolutions(s: Setting) -> Problem:
    """A convolution on patches that do not overlap, then a linear layer on each of them: K-FAC expand is exact."""
    model = lambda: nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), PositionsBeforeChannels(), nn.Linear(2, 2))  # noqa: E731
    facts = replace(PATCHES, linear_in_parameters=False)
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(4, 1, 4, 6), s.normal(4, 6, 2))], facts)


def image_tagging(s: Setting) -> Problem:
    """A class at every pixel of images that are not square, outputs ``(N, C, H, W)``."""
    model = lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Conv2d(2, 3, 1))  # noqa: E731
    data = [(s.normal(3, 1, 3, 2), s.labels(3, 3, 3, 2))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


def signal_convolution(s: Setting) -> Problem:
    """Convolutions along one axis whose paddings are words, the first with stride and dilation, then a classifier."""

    def model() -> nn.Module:
        first = nn.Conv1d(1, 2, 2, stride=2, dilation=2, padding="valid")
        return nn.Sequential(first, nn.Tanh(), nn.Conv1d(2, 2, 1, padding="same"), nn.Flatten(), nn.Linear(6, 3))

    data = [(s.normal(4, 1, 7), s.labels(3, 4))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


def cnn_replicate(s: Setting) -> Problem:
    """Padding that repeats the border, ReLU and average pooling, then a classifier."""

    def model() -> nn.Module:
        convolution = nn.Conv2d(1, 2, 3, padding=1, padding_mode="replicate")
        return nn.Sequential(convolution, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 3))

    def draw() -> Problem:
        data = [(s.normal(4, 1, 4, 2), s.labels(3, 4))]
        facts = Facts(piecewise_linear=True, weight_sharing=True)
        return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, facts)

    return away_from_kinks(draw)


def _classifier(s: Setting, convolution: nn.Conv2d, size: int, features: int) -> Problem:
    """Square images of that size, a convolution, tanh, and a linear layer on all features."""

    def model() -> nn.Module:
        return nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(features, 3))

    data = [(s.normal(4, convolution.in_channels, size, size), s.labels(3, 4))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))
