"""Each tag follows from loss, data or declared facts: it comes and goes with its cause, and with nothing else."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.tags import FACT_TAGS, MANY_TERMS, TAGS, tags_of
from fishergauge.suites.zoo import CATALOGUE, catalogue_problem
from fishergauge.suites.zoo.setting import Setting

S = Setting("tags")
CE, MSE, BCE = nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss
X, Y, LABELS, BITS = S.normal(4, 3), S.normal(4, 2), S.labels(2, 4), S.binary(4, 2)
MASKED = torch.tensor([0, 1, -100, 1])


def _problem(
    model: nn.Module | None = None, loss: nn.Module | None = None, x: Tensor = X, y: Tensor = Y, facts: Facts | None = None
) -> Problem:
    return Problem((model or nn.Linear(3, 2)).double(), loss or MSE(), [(x, y)], facts=facts or Facts())


class _Twice(nn.Module):
    """A layer that is called two times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(self.layer(inputs))
        return outputs


def _tied() -> nn.Module:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(first, second)


def _frozen() -> nn.Module:
    layer = nn.Linear(3, 2)
    layer.weight.requires_grad_(False)
    return layer


FLIPS: dict[str, tuple[Callable[[], Problem], Callable[[], Problem]]] = {
    "squared": (_problem, lambda: _problem(loss=CE(), y=LABELS)),
    "categorical": (lambda: _problem(loss=CE(), y=LABELS), lambda: _problem(loss=BCE(), y=BITS)),
    "binary": (lambda: _problem(loss=BCE(), y=BITS), _problem),
    "mean": (_problem, lambda: _problem(loss=MSE(reduction="sum"))),
    "sum": (lambda: _problem(loss=CE(reduction="sum"), y=LABELS), lambda: _problem(loss=CE(), y=LABELS)),
    "likelihood": (lambda: _problem(loss=CE(), y=LABELS), lambda: _problem(loss=CE(torch.ones(2).double()), y=LABELS)),
    "masked": (lambda: _problem(loss=CE(), y=MASKED), lambda: _problem(loss=CE(), y=LABELS)),
    "several-batches": (lambda: replace(_problem(), batches=[(X[:3], Y[:3]), (X[3:], Y[3:])]), _problem),
    "several-terms": (lambda: _problem(x=S.normal(4, 2, 3), y=S.normal(4, 2, 2)), _problem),
    "one-sample": (lambda: _problem(x=X[:1], y=Y[:1]), lambda: _problem(x=S.normal(1, 2, 3), y=S.normal(1, 2, 2))),
    "several-outputs": (_problem, lambda: _problem(nn.Linear(3, 1), y=Y[:, :1])),
    "equal-inputs": (lambda: _problem(x=X[:1].repeat(4, 1)), lambda: _problem(x=X[:1], y=Y[:1])),
    "float-inputs": (_problem, lambda: _problem(nn.Embedding(3, 2), x=S.labels(3, 4))),
    "linear-layers": (_problem, lambda: _problem(_tied(), y=S.normal(4, 3))),
    "over-parametrised": (lambda: _problem(x=X[:3], y=Y[:3]), _problem),
    "many-terms": (
        lambda: _problem(x=S.normal(MANY_TERMS // 2, 2, 3), y=S.normal(MANY_TERMS // 2, 2, 2)),
        lambda: _problem(x=S.normal(MANY_TERMS - 1, 3), y=S.normal(MANY_TERMS - 1, 2)),
    ),
}


@pytest.mark.parametrize("tag", FLIPS)
def test_a_tag_comes_and_goes_with_its_cause(tag: str) -> None:
    there, absent = FLIPS[tag]
    assert tag in tags_of(there())
    assert tag not in tags_of(absent())


@pytest.mark.parametrize("fact", FACT_TAGS)
def test_a_declared_fact_gives_its_tag_and_no_other(fact: str) -> None:
    declared = tags_of(_problem(facts=Facts(**{fact: True})))
    assert declared - tags_of(_problem()) == {FACT_TAGS[fact]}


def test_every_fact_and_every_tag_has_a_rule() -> None:
    assert set(FACT_TAGS) == set(Facts.__dataclass_fields__)
    assert set(TAGS) == set(FACT_TAGS.values()) | set(FLIPS)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (CE(label_smoothing=0.1), LABELS),
        (CE(), Y.softmax(-1)),
        (BCE(pos_weight=torch.ones(2).double()), BITS),
        (BCE(), Y.sigmoid()),
    ],
    ids=["smoothing", "soft-classes", "pos-weight", "soft-bits"],
)
def test_no_likelihood_where_no_fisher_is_defined(loss: nn.Module, targets: Tensor) -> None:
    assert "likelihood" not in tags_of(_problem(loss=loss, y=targets))


@pytest.mark.parametrize("model", [_Twice, _tied, lambda: nn.Conv1d(3, 3, 1)], ids=["twice", "tied", "none"])
def test_linear_layers_are_called_once_and_share_nothing(model: Callable[[], nn.Module]) -> None:
    x, y = (S.normal(4, 3, 2), S.normal(4, 3, 2)) if isinstance(model(), nn.Conv1d) else (X, S.normal(4, 3))
    assert "linear-layers" not in tags_of(_problem(model(), x=x, y=y))


def test_a_layer_whose_weight_is_frozen_does_not_count() -> None:
    assert "linear-layers" not in tags_of(_problem(_frozen()))


def test_the_name_counts_for_nothing() -> None:
    for name in CATALOGUE:
        problem = catalogue_problem(name)
        assert tags_of(replace(problem, name="some-other")) == tags_of(problem)


def test_the_problem_is_left_as_it_was() -> None:
    problem = catalogue_problem("small-attention")
    before = copy.deepcopy(problem.model.state_dict())
    tags_of(problem)
    assert all(torch.equal(value, before[key]) for key, value in problem.model.state_dict().items())
    assert not any(module._forward_hooks for module in problem.model.modules())
