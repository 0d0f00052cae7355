"""Problems whose outputs are linear in the parameters."""

from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.setting import Setting

LINEAR = Facts(linear_in_parameters=True, piecewise_linear=True)
LEAST_SQUARES = Facts(linear_in_parameters=True, piecewise_linear=True, deep_linear=True)


def linear_regression(s: Setting) -> Problem:
    """Least squares with two outputs and a bias."""
    data = [(s.normal(7, 3), s.normal(7, 2))]
    return s.problem(lambda: nn.Linear(3, 2), nn.MSELoss(reduction=s.reduction), data, LEAST_SQUARES)


def scalar_regression(s: Setting) -> Problem:
    """Least squares with outputs ``(N,)``: the sample axis alone."""
    return s.problem(
        lambda: nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)),
        nn.MSELoss(reduction=s.reduction),
        [(s.normal(6, 3), s.normal(6))],
        LEAST_SQUARES,
    )


def logistic_regression(s: Setting) -> Problem:
    """One binary label a sample."""
    data = [(s.normal(8, 3), s.binary(8, 1))]
    return s.problem(lambda: nn.Linear(3, 1), nn.BCEWithLogitsLoss(reduction=s.reduction), data, LINEAR)


def multilabel_regression(s: Setting) -> Problem:
    """Three binary labels a sample."""
    data = [(s.normal(6, 2), s.binary(6, 3))]
    return s.problem(lambda: nn.Linear(2, 3), nn.BCEWithLogitsLoss(reduction=s.reduction), data, LINEAR)


def softmax_regression(s: Setting) -> Problem:
    """The model of the paper, small: no bias."""
    data = [(s.normal(9, 4), s.labels(3, 9))]
    return s.problem(lambda: nn.Linear(4, 3, bias=False), nn.CrossEntropyLoss(reduction=s.reduction), data, LINEAR)


def softmax_uneven_batches(s: Setting) -> Problem:
    """Softmax regression with bias on batches of 5 and 2."""
    data = [(s.normal(5, 3), s.labels(4, 5)), (s.normal(2, 3), s.labels(4, 2))]
    return s.problem(lambda: nn.Linear(3, 4), nn.CrossEntropyLoss(reduction=s.reduction), data, LINEAR)
