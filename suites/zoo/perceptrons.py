"""Small networks in the settings of single theorems: one sample, equal inputs, shapes, depths, modes, invertible factors."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import ReferenceClass, mlp
from fishergauge.suites.zoo.setting import Setting


def one_sample_gaussian(s: Setting) -> Problem:
    """One sample, squared error, layers that are not square."""
    return s.problem(mlp(2, 4, 3), nn.MSELoss(reduction=s.reduction), [(s.normal(1, 2), s.normal(1, 3))], Facts())


def one_sample_softmax(s: Setting) -> Problem:
    """One sample, cross-entropy, layers that are not square."""
    return s.problem(mlp(2, 4, 3), nn.CrossEntropyLoss(reduction=s.reduction), [(s.normal(1, 2), s.labels(3, 1))], Facts())


def one_sample_binary(s: Setting) -> Problem:
    """One sample with two binary labels, layers that are not square."""
    return s.problem(mlp(3, 4, 2), nn.BCEWithLogitsLoss(reduction=s.reduction), [(s.normal(1, 3), s.binary(1, 2))], Facts())


def one_sample_square(s: Setting) -> Problem:
    """One sample, cross-entropy, square layers: a transposed weight goes unnoticed by shape."""
    return s.problem(mlp(3, 3, 3), nn.CrossEntropyLoss(reduction=s.reduction), [(s.normal(1, 3), s.labels(3, 1))], Facts())


def equal_inputs_gaussian(s: Setting) -> Problem:
    """Five samples with one input and several targets, squared error."""
    inputs = s.normal(1, 2).expand(5, -1).clone()
    return s.problem(mlp(2, 3, 2), nn.MSELoss(reduction=s.reduction), [(inputs, s.normal(5, 2))], Facts())


def equal_inputs_softmax(s: Setting) -> Problem:
    """Five samples with one input, cross-entropy."""
    inputs = s.normal(1, 2).expand(5, -1).clone()
    return s.problem(mlp(2, 3, 3), nn.CrossEntropyLoss(reduction=s.reduction), [(inputs, s.labels(3, 5))], Facts())


def equal_inputs_binary(s: Setting) -> Problem:
    """Five samples with one input, two binary labels."""
    inputs = s.normal(1, 2).expand(5, -1).clone()
    return s.problem(mlp(2, 3, 2), nn.BCEWithLogitsLoss(reduction=s.reduction), [(inputs, s.binary(5, 2))], Facts())


def mlp_no_bias(s: Setting) -> Problem:
    """A smooth network without biases, cross-entropy."""
    data = [(s.normal(6, 3), s.labels(3, 6))]
    return s.problem(mlp(3, 4, 3, bias=False), nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def mlp_square(s: Setting) -> Problem:
    """A smooth network of square layers, squared error."""
    return s.problem(mlp(3, 3, 3), nn.MSELoss(reduction=s.reduction), [(s.normal(7, 3), s.normal(7, 3))], Facts())


def one_parameter(s: Setting) -> Problem:
    """A binary label, one feature, one weight, no bias: every size but N is one."""
    data = [(s.normal(3, 1), s.binary(3, 1))]
    facts = Facts(linear_in_parameters=True, piecewise_linear=True)
    return s.problem(lambda: nn.Linear(1, 1, bias=False), nn.BCEWithLogitsLoss(reduction=s.reduction), data, facts)


def dropout(s: Setting) -> Problem:
    """Dropout in evaluation mode, where it does nothing."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh(), nn.Linear(4, 2))

    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(5, 3), s.normal(5, 2))], Facts())


def duplicated_data(s: Setting) -> Problem:
    """Three samples, each of them twice."""
    inputs, labels = s.normal(3, 3), s.labels(3, 3)
    return s.problem(mlp(3, 3, 3), nn.CrossEntropyLoss(reduction=s.reduction), [(inputs, labels)] * 2, Facts())


def binary_scalar(s: Setting) -> Problem:
    """One binary label a sample, outputs ``(N,)``: the sample axis alone."""
    model = lambda: nn.Sequential(mlp(3, 3, 1)(), nn.Flatten(0))  # noqa: E731
    return s.problem(model, nn.BCEWithLogitsLoss(reduction=s.reduction), [(s.normal(6, 3), s.binary(6))], Facts())


def two_classes(s: Setting) -> Problem:
    """Cross-entropy of two classes, sigmoids."""
    data = [(s.normal(6, 3), s.labels(2, 6))]
    return s.problem(mlp(3, 3, 2, activation=nn.Sigmoid), nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def deep_tanh(s: Setting) -> Problem:
    """Four linear layers, narrow and wide in turn, five classes."""
    data = [(s.normal(7, 3), s.labels(5, 7))]
    return s.problem(mlp(3, 2, 3, 2, 5), nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def frozen_last_layer(s: Setting) -> Problem:
    """Only the first layer is trained, and the last one keeps its weights; squared error."""

    def model() -> nn.Module:
        network = mlp(3, 4, 2)()
        for name in ("2.weight", "2.bias"):
            network.get_parameter(name).requires_grad_(False)
        return network

    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(6, 3), s.normal(6, 2))], Facts())


def other_order(s: Setting) -> Problem:
    """The layer that is called last is registered first: parameters do not stand in the order of use."""
    data = [(s.normal(6, 2), s.labels(3, 6))]
    return s.problem(_LastFirst, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def mlp_gaussian_wide_data(s: Setting) -> Problem:
    """More samples than any width, squared error: both Kronecker factors of each layer can be inverted."""
    return s.problem(mlp(3, 4, 2), nn.MSELoss(reduction=s.reduction), [(s.normal(40, 3), s.normal(40, 2))], Facts())


def mlp_softmax_wide_data(s: Setting) -> Problem:
    """More samples than any width, three classes of which one has the logit zero, so that G can be inverted."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), ReferenceClass())

    data = [(s.normal(40, 3), s.labels(3, 40))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def mlp_binary_wide_data(s: Setting) -> Problem:
    """More samples than any width, two binary labels: both Kronecker factors of each layer can be inverted."""
    return s.problem(mlp(3, 4, 2), nn.BCEWithLogitsLoss(reduction=s.reduction), [(s.normal(40, 3), s.binary(40, 2))], Facts())


class _LastFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.first = nn.Linear(2, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(torch.tanh(self.first(inputs)))
        return outputs
