"""Small random problems for property-based tests: Hypothesis draws the shapes and one integer, torch the numbers."""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo import Setting
from fishergauge.suites.zoo.setting import Reduction

LossKind = Literal["squared", "categorical", "binary"]


@dataclass(frozen=True)
class Shape:
    """Sizes of a random problem; one layer where ``hidden`` is zero, positions where ``positions`` is positive."""

    samples: int
    features: int
    hidden: int
    outputs: int
    positions: int
    bias: bool
    loss: LossKind
    reduction: Reduction
    seed: int


SHAPES = st.builds(
    Shape,
    samples=st.integers(1, 5),
    features=st.integers(1, 4),
    hidden=st.integers(0, 3),
    outputs=st.integers(1, 4),
    positions=st.integers(0, 3),
    bias=st.booleans(),
    loss=st.sampled_from(["squared", "categorical", "binary"]),
    reduction=st.sampled_from(["mean", "sum"]),
    seed=st.integers(0, 2**31 - 1),
)


class PerPosition(nn.Module):
    """Apply a network to the last axis; with the class axis second where the loss wants it there."""

    def __init__(self, network: nn.Module, class_axis_second: bool) -> None:
        super().__init__()
        self.network = network
        self.class_axis_second = class_axis_second

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.network(inputs)
        return outputs.movedim(-1, 1) if self.class_axis_second else outputs


def network(shape: Shape) -> nn.Module:
    """A linear layer, or two with a tanh between them."""
    if shape.hidden == 0:
        return nn.Sequential(nn.Linear(shape.features, shape.outputs, shape.bias))
    first = nn.Linear(shape.features, shape.hidden, shape.bias)
    return nn.Sequential(first, nn.Tanh(), nn.Linear(shape.hidden, shape.outputs, shape.bias))


def random_problem(shape: Shape) -> Problem:
    """The problem of that shape; the same shape gives the same problem."""
    s = Setting(f"random {shape}", reduction=shape.reduction, seed=shape.seed)
    leading = (shape.samples, *([shape.positions] if shape.positions else []))
    inputs = s.normal(*leading, shape.features)
    losses: dict[str, tuple[nn.Module, Tensor]] = {
        "squared": (nn.MSELoss(reduction=shape.reduction), s.normal(*leading, shape.outputs)),
        "categorical": (nn.CrossEntropyLoss(reduction=shape.reduction), s.labels(shape.outputs, *leading)),
        "binary": (nn.BCEWithLogitsLoss(reduction=shape.reduction), s.binary(*leading, shape.outputs)),
    }
    loss, targets = losses[shape.loss]
    second = shape.loss == "categorical" and shape.positions > 0
    facts = Facts(linear_in_parameters=shape.hidden == 0, weight_sharing=shape.positions > 0)
    return s.problem(lambda: PerPosition(network(shape), second), loss, [(inputs, targets)], facts)
