"""Every configuration of the losses, on outputs with and without positions: the reference equals the oracle or both refuse."""

from dataclasses import dataclass
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem, UndefinedError
from fishergauge.reference.oracle import (
    oracle_empirical_fisher,
    oracle_fisher,
    oracle_ggn,
    oracle_gradient,
    oracle_hessian,
)
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.unhurried import unhurried
from fishergauge.suites.zoo import Setting
from fishergauge.suites.zoo.setting import Reduction

SAMPLES, CLASSES = 4, 3
ORACLES = {
    "hessian": oracle_hessian,
    "ggn": oracle_ggn,
    "fisher": oracle_fisher,
    "fisher_type2": oracle_fisher,
    "empirical_fisher": oracle_empirical_fisher,
}


@dataclass(frozen=True)
class Configuration:
    """A loss with its options, its kind of targets and the axes of positions."""

    loss: Literal["squared", "categorical", "binary"]
    reduction: Reduction
    positions: tuple[int, ...]
    weighted: bool
    positive: bool
    smoothing: float
    targets: Literal["labels", "masked", "soft"]
    seed: int


CONFIGURATIONS = st.builds(
    Configuration,
    loss=st.sampled_from(["categorical", "binary", "squared"]),
    reduction=st.sampled_from(["mean", "sum"]),
    positions=st.sampled_from([(), (2,), (2, 2), (1,)]),
    weighted=st.booleans(),
    positive=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.3]),
    targets=st.sampled_from(["labels", "masked", "soft"]),
    seed=st.integers(0, 2**31 - 1),
)


@unhurried
@given(configuration=CONFIGURATIONS)
def test_every_configuration_meets_the_oracle_or_is_refused_by_both(
    configuration: Configuration, quantities: Quantities
) -> None:
    problem = _problem(configuration)
    scale = float(oracle_ggn(problem).norm() + oracle_hessian(problem).norm() + oracle_empirical_fisher(problem).norm())
    assert_close(quantities.gradient(problem), oracle_gradient(problem), "gradient", scale=max(scale, scale**0.5))
    for name, oracle in ORACLES.items():
        try:
            expected = oracle(problem)
        except UndefinedError:
            try:
                quantities.named(name)(problem)
            except UndefinedError:
                continue
            raise ClaimViolated(f"the oracle refuses {name}, the reference does not: {configuration}") from None
        assert_close(quantities.named(name)(problem).dense(), expected, name, scale=scale)


class _PerPosition(nn.Module):
    def __init__(self, class_axis_second: bool) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, CLASSES))
        self.class_axis_second = class_axis_second

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.network(inputs)
        return outputs.movedim(-1, 1) if self.class_axis_second else outputs


def _problem(c: Configuration) -> Problem:
    s = Setting(f"configuration {c}", reduction=c.reduction, seed=c.seed)
    leading = (SAMPLES, *c.positions)
    second = c.loss == "categorical" and bool(c.positions)
    inputs, weight = s.normal(*leading, 2), s.normal(CLASSES).abs() + 0.1
    loss, targets = _loss(c, weight, s), _targets(c, leading, second, s)
    data = [(inputs[:3], targets[:3]), (inputs[3:], targets[3:])]
    return s.problem(lambda: _PerPosition(second), loss, data, Facts(weight_sharing=bool(c.positions)))


def _loss(c: Configuration, weight: Tensor, s: Setting) -> nn.Module:
    given_weight = weight if c.weighted else None
    if c.loss == "squared":
        return nn.MSELoss(reduction=c.reduction)
    if c.loss == "categorical":
        return nn.CrossEntropyLoss(given_weight, reduction=c.reduction, label_smoothing=c.smoothing)
    positive = s.normal(CLASSES).abs() + 0.1 if c.positive else None
    return nn.BCEWithLogitsLoss(given_weight, reduction=c.reduction, pos_weight=positive)


def _targets(c: Configuration, leading: tuple[int, ...], second: bool, s: Setting) -> Tensor:
    if c.loss == "squared":
        return s.normal(*leading, CLASSES)
    if c.targets == "soft":
        soft = s.normal(*leading, CLASSES).softmax(-1)
        return soft.movedim(-1, 1) if second else soft
    if c.loss == "binary":
        return s.binary(*leading, CLASSES)
    labels = s.labels(CLASSES, *leading)
    if c.targets == "masked":
        labels.view(-1)[::3] = -100
    return labels
