"""Feed-forward networks without weight sharing between positions of the loss."""

from torch import nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.kinks import away_from_kinks
from fishergauge.suites.zoo.setting import Setting


def mlp_tanh_softmax(s: Setting) -> Problem:
    """A smooth network, cross-entropy."""
    data = [(s.normal(6, 3), s.labels(3, 6))]
    return s.problem(_mlp(nn.Tanh, 3, 4, 3), nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def mlp_tanh_gaussian(s: Setting) -> Problem:
    """A smooth network, squared error, uneven batches."""
    data = [(s.normal(5, 2), s.normal(5, 2)), (s.normal(2, 2), s.normal(2, 2))]
    return s.problem(_mlp(nn.Tanh, 2, 4, 2), nn.MSELoss(reduction=s.reduction), data, Facts())


def mlp_sigmoid_binary(s: Setting) -> Problem:
    """A smooth network, two binary labels a sample."""
    data = [(s.normal(6, 3), s.binary(6, 2))]
    return s.problem(_mlp(nn.Sigmoid, 3, 3, 2), nn.BCEWithLogitsLoss(reduction=s.reduction), data, Facts())


def mlp_relu_softmax(s: Setting) -> Problem:
    """A piecewise-linear network, cross-entropy."""

    def draw() -> Problem:
        data = [(s.normal(6, 3), s.labels(4, 6))]
        loss = nn.CrossEntropyLoss(reduction=s.reduction)
        return s.problem(_mlp(nn.ReLU, 3, 5, 4), loss, data, Facts(piecewise_linear=True))

    return away_from_kinks(draw)


def mlp_relu_gaussian(s: Setting) -> Problem:
    """A piecewise-linear network, squared error."""

    def draw() -> Problem:
        data = [(s.normal(6, 3), s.normal(6, 2))]
        return s.problem(_mlp(nn.ReLU, 3, 5, 2), nn.MSELoss(reduction=s.reduction), data, Facts(piecewise_linear=True))

    return away_from_kinks(draw)


def deep_linear(s: Setting) -> Problem:
    """Two linear layers: linear in each, not in both together."""
    data = [(s.normal(6, 3), s.normal(6, 2))]
    facts = Facts(piecewise_linear=True, deep_linear=True)
    return s.problem(_mlp(nn.Identity, 3, 4, 2), nn.MSELoss(reduction=s.reduction), data, facts)


def sizes_of_one(s: Setting) -> Problem:
    """One sample, one feature, one hidden unit, one output."""
    data = [(s.normal(1, 1), s.normal(1, 1))]
    return s.problem(_mlp(nn.Tanh, 1, 1, 1), nn.MSELoss(reduction=s.reduction), data, Facts())


def prelu(s: Setting) -> Problem:
    """A learnt slope, as many channels as samples: torch's batching rule for it is wrong unless sizes forbid it."""

    def draw() -> Problem:
        data = [(s.normal(4, 3), s.labels(3, 4))]
        return s.problem(_mlp(nn.PReLU, 3, 4, 3), nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())

    return away_from_kinks(draw)


def frozen_first_layer(s: Setting) -> Problem:
    """A network of which only the last layer and one bias are trained."""

    def model() -> nn.Module:
        mlp = _mlp(nn.Tanh, 3, 4, 3)()
        mlp.get_parameter("0.weight").requires_grad_(False)
        return mlp

    data = [(s.normal(6, 3), s.labels(3, 6))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def batch_norm(s: Setting) -> Problem:
    """Batch normalisation in evaluation mode, with running statistics other than the initial ones."""

    def model() -> nn.Module:
        norm = nn.BatchNorm1d(4)
        norm.get_buffer("running_mean").fill_(0.3)
        norm.get_buffer("running_var").fill_(2.5)
        return nn.Sequential(nn.Linear(3, 4), norm, nn.Tanh(), nn.Linear(4, 3))

    data = [(s.normal(6, 3), s.labels(3, 6))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts())


def cnn(s: Setting) -> Problem:
    """A convolution with stride, dilation and padding, a second one with groups, then a classifier."""

    def model() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 2, 3, stride=2, padding=1),
            nn.Tanh(),
            nn.Conv2d(2, 2, 2, dilation=2, groups=2, bias=False),
            nn.Flatten(),
            nn.Linear(2, 3),
        )

    data = [(s.normal(4, 1, 5, 5), s.labels(3, 4))]
    facts = Facts(weight_sharing=True)
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, facts)


def _mlp(activation: type[nn.Module], inputs: int, hidden: int, outputs: int) -> "type[nn.Module]":
    def model() -> nn.Sequential:
        return nn.Sequential(nn.Linear(inputs, hidden), activation(), nn.Linear(hidden, outputs))

    return model  # type: ignore[return-value]
