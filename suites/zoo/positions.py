"""Layers used at several positions of a sample: linear ones, a length that changes, embeddings, small attention."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.layers import ClassesSecond, MeanOverPositions, PairsOfPositions, RepeatedPositions, mlp
from fishergauge.suites.zoo.setting import Setting


def positions_linear(s: Setting) -> Problem:
    """Two linear layers on ``(N, T, D)`` with squared error at every position: K-FAC expand is exact."""
    facts = Facts(piecewise_linear=True, deep_linear=True, weight_sharing=True, loss_per_position=True)
    data = [(s.normal(4, 3, 2), s.normal(4, 3, 2))]
    return s.problem(mlp(2, 3, 2, activation=None), nn.MSELoss(reduction=s.reduction), data, facts)


def pooled_linear(s: Setting) -> Problem:
    """Two linear layers on ``(N, T, D)``, averaged, and a third one before squared error: K-FAC reduce is exact."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2), MeanOverPositions(), nn.Linear(2, 2))

    facts = Facts(piecewise_linear=True, deep_linear=True, weight_sharing=True, pooled=True)
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(5, 3, 2), s.normal(5, 2))], facts)


def length_change(s: Setting) -> Problem:
    """Linear layers at six and, after averaging neighbours, at three positions: neither expand nor reduce is exact."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 3), PairsOfPositions(), nn.Linear(3, 2))

    facts = Facts(piecewise_linear=True, deep_linear=True, weight_sharing=True)
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(3, 6, 2), s.normal(3, 3, 2))], facts)


def repeated_positions(s: Setting) -> Problem:
    """Linear layers at three positions, each of which has two terms of the loss: K-FAC expand is exact."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2), RepeatedPositions())

    facts = Facts(piecewise_linear=True, deep_linear=True, weight_sharing=True, loss_per_position=True)
    return s.problem(model, nn.MSELoss(reduction=s.reduction), [(s.normal(4, 3, 2), s.normal(4, 6, 2))], facts)


def masked_positions(s: Setting) -> Problem:
    """A class at each position, some of them ignored."""
    labels = s.labels(3, 4, 3)
    labels[0, 1] = labels[2, 0] = labels[2, 2] = -100
    model = lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), ClassesSecond())  # noqa: E731
    facts = Facts(weight_sharing=True, loss_per_position=True)
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), [(s.normal(4, 3, 2), labels)], facts)


def embedding(s: Setting) -> Problem:
    """Two tokens a sample, embedded, and a classifier on both."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Tanh(), nn.Linear(4, 3))

    data = [(s.labels(5, 6, 2), s.labels(3, 6))]
    return s.problem(model, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


def small_attention(s: Setting) -> Problem:
    """Embedding, self-attention, layer normalisation, a class at each position, some ignored."""
    labels = s.labels(3, 3, 3)
    labels[0, 2] = labels[2, 0] = -100
    data = [(s.labels(4, 3, 3), labels)]
    return s.problem(_Attention, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 2)
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)
        self.hidden = nn.Linear(2, 3)
        self.norm = nn.LayerNorm(3)
        self.head = nn.Linear(3, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        x = self.norm(self.hidden(x + self.attention(x, x, x, need_weights=True)[0]))
        outputs: Tensor = self.head(torch.tanh(x)).mT
        return outputs
