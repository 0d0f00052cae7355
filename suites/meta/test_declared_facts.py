"""The facts that problems of the zoo declare are true, and false ones are found out."""

from dataclasses import fields, replace

import pytest
import torch

from fishergauge.reference import Facts
from fishergauge.suites.zoo import CATALOGUE, ZOO, catalogue_problem, zoo_problem
from fishergauge.suites.zoo.declared import CHECKS, untrue_facts

PROBLEMS = {name: catalogue_problem(name) for name in CATALOGUE}


@pytest.mark.parametrize("name", CATALOGUE)
def test_declared_facts_are_true_and_no_true_one_is_missing(name: str) -> None:
    for problem in (PROBLEMS[name], catalogue_problem(name, seed=1), catalogue_problem(name, dtype=torch.float32)):
        assert untrue_facts(problem) == ()
    assert [fact for fact, holds in CHECKS.items() if holds(PROBLEMS[name])] == [
        fact for fact in CHECKS if getattr(PROBLEMS[name].facts, fact)
    ]


@pytest.mark.parametrize("name", ZOO)
def test_declared_facts_of_the_older_problems_are_true(name: str) -> None:
    assert untrue_facts(zoo_problem(name)) == ()


FALSE = {
    "linear_in_parameters": "mlp-tanh-gaussian",
    "piecewise_linear": "mlp-sigmoid-binary",
    "weight_sharing": "mlp-tanh-softmax",
    "tied_weights": "mlp-square",
    "deep_linear": "mlp-relu-gaussian",
    "loss_per_position": "length-change",
    "pooled": "recurrent",
    "product_data": "linear-regression",
    "saturated": "softmax-regression",
    "natural_parameters": "one-sample-softmax",
}


@pytest.mark.parametrize("fact", FALSE)
def test_a_false_fact_is_found_out(fact: str) -> None:
    problem = PROBLEMS[FALSE[fact]]
    claimed = {item.name: getattr(problem.facts, item.name) or item.name == fact for item in fields(Facts)}
    assert untrue_facts(replace(problem, facts=Facts(**claimed))) == (fact,)


@pytest.mark.parametrize(("fact", "name"), [("weight_sharing", "cnn"), ("tied_weights", "tied-autoencoder")])
def test_a_restricting_fact_that_is_kept_back_is_found_out(fact: str, name: str) -> None:
    assert fact in untrue_facts(replace(PROBLEMS[name], facts=Facts()))


def test_a_mixing_convolution_and_attention_are_no_loss_per_position() -> None:
    for name in ("conv1d-tagging", "small-attention"):
        facts = replace(PROBLEMS[name].facts, loss_per_position=True)
        assert untrue_facts(replace(PROBLEMS[name], facts=facts)) == ("loss_per_position",)
