"""Cheap problems with many terms, on which Monte-Carlo estimators are judged statistically."""

from dataclasses import replace

import torch
from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import ClassesSecond, mlp
from fishergauge.suites.zoo.linear_models import LEAST_SQUARES, LINEAR
from fishergauge.suites.zoo.setting import Setting

TERMS = 400


def stat_softmax_uniform(s: Setting) -> Problem:
    """Three classes of nearly equal probability."""
    module = s.module(lambda: nn.Linear(2, 3))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.1)
    data = [(s.normal(TERMS, 2), s.labels(3, TERMS))]
    return s.join(module, nn.CrossEntropyLoss(reduction=s.reduction), data, LINEAR)


def stat_softmax_skewed(s: Setting) -> Problem:
    """Three classes with probabilities near 0.9, 0.07 and 0.03."""
    module = s.module(lambda: nn.Linear(2, 3))
    with torch.no_grad():
        module.get_parameter("weight").mul_(0.3)
        bias = module.get_parameter("bias")
        bias.mul_(0.1).add_(torch.tensor([2.2, -0.4, -1.2]).to(bias))
    data = [(s.normal(TERMS, 2), s.labels(3, TERMS))]
    return s.join(module, nn.CrossEntropyLoss(reduction=s.reduction), data, LINEAR)


def stat_binary(s: Setting) -> Problem:
    """Two binary labels a sample, batches of 250 and 150."""
    data = [(s.normal(count, 2), s.binary(count, 2)) for count in (250, 150)]
    return s.problem(lambda: nn.Linear(2, 2), nn.BCEWithLogitsLoss(reduction=s.reduction), data, LINEAR)


def stat_gaussian(s: Setting) -> Problem:
    """Eight outputs, squared error."""
    data = [(s.normal(TERMS, 2), s.normal(TERMS, 8))]
    return s.problem(lambda: nn.Linear(2, 8), nn.MSELoss(reduction=s.reduction), data, LEAST_SQUARES)


def stat_mlp_softmax(s: Setting) -> Problem:
    """A network with three hidden units, three classes."""
    data = [(s.normal(TERMS, 2), s.labels(3, TERMS))]
    return s.problem(mlp(2, 3, 3), nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def stat_mlp_gaussian(s: Setting) -> Problem:
    """A network with three hidden units, two outputs, squared error."""
    data = [(s.normal(TERMS, 2), s.normal(TERMS, 2))]
    return s.problem(mlp(2, 3, 2), nn.MSELoss(reduction=s.reduction), data, Facts())


def stat_scalar(s: Setting) -> Problem:
    """One output, squared error."""
    data = [(s.normal(TERMS, 2), s.normal(TERMS, 1))]
    return s.problem(lambda: nn.Linear(2, 1), nn.MSELoss(reduction=s.reduction), data, LEAST_SQUARES)


def stat_positions(s: Setting) -> Problem:
    """A class at each of four positions of a sample, a few ignored."""
    labels = s.labels(3, TERMS // 4, 4)
    labels[::10, 1] = labels[5, :3] = labels[7] = -100
    facts = replace(LINEAR, weight_sharing=True, loss_per_position=True)
    model = lambda: nn.Sequential(nn.Linear(2, 3), ClassesSecond())  # noqa: E731
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), [(s.normal(TERMS // 4, 4, 2), labels)], facts)
