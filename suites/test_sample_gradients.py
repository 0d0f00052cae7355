"""Gradients of the terms, one row each, are those that one backward pass a term gives."""

import copy

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, empirical_fisher, gradient
from fishergauge.reference.sample_gradients import sample_gradients
from fishergauge.reference.terms import terms_of
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.untouched import assert_untouched, state_of
from fishergauge.suites.zoo import catalogue_problem

ONE_TERM = [
    "mlp-tanh-softmax",
    "mlp-tanh-gaussian",
    "cnn-circular",
    "frozen-first-layer",
    "softmax-uneven-batches",
    "recurrent",
]
ALL = [*ONE_TERM, "conv1d-tagging", "masked-labels", "small-attention", "binary-per-position"]


def _one_by_one(problem: Problem) -> Tensor:
    """The loss of one sample under ``sum``, differentiated by one backward pass each."""
    model, loss = copy.deepcopy(problem.model), copy.deepcopy(problem.loss)
    assert isinstance(loss, nn.CrossEntropyLoss | nn.MSELoss | nn.BCEWithLogitsLoss)
    loss.reduction = "sum"
    trained = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for inputs, target in zip(problem.inputs, problem.targets, strict=True):
        value = loss(model(inputs[None]), target[None])
        rows.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(value, trained)]))
    return torch.stack(rows)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ONE_TERM)
def test_a_row_is_the_gradient_of_the_loss_of_its_sample(name: str, dtype: torch.dtype) -> None:
    problem = catalogue_problem(name, dtype=dtype)
    assert_close(sample_gradients(problem), _one_by_one(problem), name, size=problem.num_parameters)


def test_rows_of_another_loss_would_be_seen() -> None:
    problem = catalogue_problem("mlp-tanh-softmax")
    with pytest.raises(ClaimViolated, match="halved"):
        assert_close(sample_gradients(problem) / 2, _one_by_one(problem), "halved")


@pytest.mark.parametrize("name", ALL)
def test_they_add_up_to_the_gradient_and_their_squares_to_the_empirical_fisher(name: str) -> None:
    problem = catalogue_problem(name)
    rows, terms = sample_gradients(problem), terms_of(problem)
    assert rows.shape == (len(terms.outputs), problem.num_parameters)
    assert not rows.requires_grad
    scale = float(rows.norm())
    assert_close(rows.sum(0) / terms.divisor, gradient(problem), "sum", scale=scale / float(terms.divisor))
    second = empirical_fisher(problem).dense()
    assert_close(rows.T @ rows / terms.divisor, second, "second moment", scale=scale**2 / float(terms.divisor))


def test_masked_terms_have_no_gradient() -> None:
    problem = catalogue_problem("masked-labels")
    absent = ~problem.likelihood.present(terms_of(problem).labels)
    assert absent.any()
    assert not sample_gradients(problem)[absent].any()


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "cnn-circular", "small-attention"])
def test_nothing_is_left_changed(name: str) -> None:
    problem = catalogue_problem(name)
    before = state_of(problem)
    sample_gradients(problem)
    assert_untouched(problem, before)
