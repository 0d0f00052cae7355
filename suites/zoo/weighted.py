"""Objectives that are no log-likelihood, or whose labels are partly masked."""

from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import mlp
from fishergauge.suites.zoo.setting import Setting


def masked_labels(s: Setting) -> Problem:
    """Cross-entropy with ignored labels, one batch wholly ignored."""
    labels = s.labels(3, 5)
    labels[1] = labels[4] = 7
    data = [(s.normal(5, 3), labels), (s.normal(2, 3), labels[[1, 4]])]
    loss = nn.CrossEntropyLoss(reduction=s.reduction, ignore_index=7)
    return s.problem(_mlp, loss, data, Facts())


def ignored_class(s: Setting) -> Problem:
    """Cross-entropy whose ignored label is one of the four classes, which the model gives a probability all the same."""
    labels = s.labels(3, 6)
    labels[labels > 0] += 1  # 0, 2 or 3
    labels[0] = labels[3] = 1
    labels[1] = 0
    loss = nn.CrossEntropyLoss(reduction=s.reduction, ignore_index=1)
    return s.problem(mlp(2, 3, 4), loss, [(s.normal(6, 2), labels)], Facts())


def class_weights(s: Setting) -> Problem:
    """Cross-entropy with class weights, label smoothing and an ignored label."""
    labels = s.labels(3, 6)
    labels[0] = -100
    weight = s.normal(3).abs() + 0.1
    loss = nn.CrossEntropyLoss(weight, reduction=s.reduction, label_smoothing=0.2)
    return s.problem(_mlp, loss, [(s.normal(6, 3), labels)], Facts())


def soft_targets(s: Setting) -> Problem:
    """Cross-entropy with class probabilities as targets, and class weights."""
    weight = s.normal(3).abs() + 0.1
    loss = nn.CrossEntropyLoss(weight, reduction=s.reduction)
    return s.problem(_mlp, loss, [(s.normal(6, 3), s.normal(6, 3).softmax(-1))], Facts())


def positive_weights(s: Setting) -> Problem:
    """Binary cross-entropy with a weight and a ``pos_weight`` for each of two labels."""
    weight, positive = s.normal(2).abs() + 0.1, s.normal(2).abs() + 0.1
    loss = nn.BCEWithLogitsLoss(weight, reduction=s.reduction, pos_weight=positive)
    model = lambda: nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))  # noqa: E731
    return s.problem(model, loss, [(s.normal(6, 3), s.binary(6, 2))], Facts())


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
