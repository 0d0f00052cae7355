"""Chains of linear layers under squared error, where K-FAC is exact for any number of samples."""

from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import mlp
from fishergauge.suites.zoo.setting import Setting

CHAIN = Facts(piecewise_linear=True, deep_linear=True)


def deep_linear_two(s: Setting) -> Problem:
    """Two linear layers without bias."""
    model = mlp(3, 4, 2, activation=None, bias=False)
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(6, 3), s.normal(6, 2))], CHAIN)


def deep_linear_bias(s: Setting) -> Problem:
    """Three linear layers with bias, batches of 5 and 2."""
    data = [(s.normal(5, 2), s.normal(5, 2)), (s.normal(2, 2), s.normal(2, 2))]
    return s.problem(mlp(2, 3, 4, 2, activation=None), nn.MSELoss(reduction=s.reduction), data, CHAIN)


def deep_linear_three(s: Setting) -> Problem:
    """Three linear layers without bias whose Kronecker factors can all be inverted: narrower inside, many samples."""
    data = [(s.normal(12, 4), s.normal(12, 4))]
    return s.problem(mlp(4, 3, 3, 4, activation=None, bias=False), nn.MSELoss(reduction=s.reduction), data, CHAIN)
