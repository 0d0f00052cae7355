"""A problem of one's own: a network with a skip connection."""

from torch import nn

from fishergauge.suites import Facts, Problem


class Skip(nn.Module):
    """x + V silu(W x + b) + c."""

    def __init__(self, width):
        super().__init__()
        self.inner, self.outer = nn.Linear(width, 5), nn.Linear(5, width)

    def forward(self, x):
        return x + self.outer(nn.functional.silu(self.inner(x)))


def skip_connection(setting):
    """A network with a skip connection, cross-entropy, two uneven batches."""
    model = setting.module(lambda: nn.Sequential(Skip(3), nn.Linear(3, 4)))  # in the dtype and with the seed of the run
    data = [(setting.normal(count, 3), setting.labels(4, count)) for count in (5, 2)]
    nothing_special = Facts()  # no ReLU, no weight used at several positions or by several layers
    return Problem(model, nn.CrossEntropyLoss(), data, facts=nothing_special)


problems = [skip_connection]
