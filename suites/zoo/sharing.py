"""Problems in which a weight is used several times: at positions of a sequence, or by several layers."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo.kinks import away_from_kinks
from fishergauge.suites.zoo.setting import Setting


def loss_per_position(s: Setting) -> Problem:
    """A network on ``(N, T, D)`` with squared error at every position."""
    data = [(s.normal(4, 3, 2), s.normal(4, 3, 2))]
    return s.problem(
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)),
        nn.MSELoss(reduction=s.reduction),
        data,
        Facts(weight_sharing=True, loss_per_position=True),
    )


def pooled_positions(s: Setting) -> Problem:
    """A network on ``(N, T, D)`` that averages over the positions before the loss."""
    data = [(s.normal(5, 3, 2), s.labels(3, 5))]
    return s.problem(_Pooling, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True, pooled=True))


def conv1d_tagging(s: Setting) -> Problem:
    """Labels at every position, class axis second, some masked; two uneven batches."""

    def draw() -> Problem:
        data = []
        for count in (3, 2):
            labels = s.labels(3, count, 4)
            labels[:, 0] = -100
            data.append((s.normal(count, 2, 4), labels))
        return s.problem(
            lambda: nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), nn.ReLU(), nn.Conv1d(2, 3, 1)),
            nn.CrossEntropyLoss(reduction=s.reduction),
            data,
            Facts(piecewise_linear=True, weight_sharing=True),
        )

    return away_from_kinks(draw)


def binary_per_position(s: Setting) -> Problem:
    """Two binary labels at every position."""
    data = [(s.normal(4, 3, 2), s.binary(4, 3, 2))]
    return s.problem(
        lambda: nn.Linear(2, 2),
        nn.BCEWithLogitsLoss(reduction=s.reduction),
        data,
        Facts(linear_in_parameters=True, piecewise_linear=True, weight_sharing=True, loss_per_position=True),
    )


def tied_autoencoder(s: Setting) -> Problem:
    """Encoder and decoder share one square weight."""
    data = [(s.normal(6, 3), s.normal(6, 3))]
    return s.problem(_Tied, nn.MSELoss(reduction=s.reduction), data, Facts(tied_weights=True))


def reused_layer(s: Setting) -> Problem:
    """One square layer that is called twice, tanh after each call, then a last layer."""
    data = [(s.normal(6, 3), s.labels(3, 6))]
    return s.problem(_Reused, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


def recurrent(s: Setting) -> Problem:
    """A gated recurrent layer, for which torch has no batching rule."""
    data = [(s.normal(4, 3, 2), s.labels(3, 4))]
    return s.problem(_Recurrent, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


def attention(s: Setting) -> Problem:
    """Embedding, self-attention with layer normalisation, a label at every position, some masked."""
    labels = s.labels(3, 3, 3)
    labels[0, 2] = labels[2, 0] = -100
    data = [(s.labels(5, 3, 3), labels)]
    return s.problem(_Attention, nn.CrossEntropyLoss(reduction=s.reduction), data, Facts(weight_sharing=True))


class _Pooling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.last = nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(torch.tanh(self.first(inputs)).mean(1))
        return outputs


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(2, 2, batch_first=True)
        self.last = nn.Linear(2, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.layer(inputs)[0][:, -1])
        return outputs


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3, bias=False)
        self.decoder = nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.decoder(torch.tanh(self.encoder(inputs)))
        return outputs


class _Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 3)
        self.last = nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        once = torch.tanh(self.hidden(inputs))
        outputs: Tensor = self.last(torch.tanh(self.hidden(once)))
        return outputs


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4, padding_idx=0)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        outputs: Tensor = self.head(x).movedim(-1, 1)
        return outputs
