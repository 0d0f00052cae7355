"""The catalogue: names and sizes, draws that repeat and keep their distance, and a version that follows every change."""

import hashlib
from dataclasses import fields, replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from fishergauge.reference import Facts, Problem, ProblemError
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import CATALOGUE, ZOO_VERSION, catalogue_problem
from fishergauge.suites.zoo.kinks import MARGIN, away_from_kinks, distance_to_kinks

DIGESTS = {1: "4beec8926d67b18ee4383ff80bd26870336a6e83329ed7c3b77f129e1499478b"}

PROBLEMS = {name: catalogue_problem(name) for name in CATALOGUE}
OF_TAGS = {name: tags_of(problem) for name, problem in PROBLEMS.items()}


def test_matrices_stay_small() -> None:
    assert all(1 <= problem.num_parameters <= 60 for problem in PROBLEMS.values())
    assert all(p.num_samples <= 40 or "many-terms" in OF_TAGS[name] for name, p in PROBLEMS.items())


def test_names_say_the_reduction_and_entries_their_purpose() -> None:
    for name, problem in PROBLEMS.items():
        assert problem.name == name
        assert problem.loss.reduction == ("sum" if name.endswith("-sum") else "mean") == CATALOGUE[name].reduction
        assert CATALOGUE[name].summary.endswith(".")


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"no problem 'cnm' in the catalogue; it has .*cnn"):
        catalogue_problem("cnm")


@pytest.mark.parametrize("seed", range(21))
def test_no_preactivation_is_near_a_kink(seed: int) -> None:
    kinked = [name for name, problem in PROBLEMS.items() if distance_to_kinks(problem) < float("inf")]
    assert len(kinked) >= 3
    for name in kinked:
        double, single = catalogue_problem(name, seed=seed), catalogue_problem(name, torch.float32, seed=seed)
        assert distance_to_kinks(double) > MARGIN
        assert distance_to_kinks(single) > MARGIN
        torch.testing.assert_close(single.vector.double(), double.vector, rtol=1e-6, atol=1e-6)


def test_draws_near_a_kink_are_repeated_and_not_for_ever() -> None:
    near = Problem(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), nn.MSELoss(), [(torch.zeros(2, 1), torch.zeros(2, 1))])
    with torch.no_grad():
        near.model.get_parameter("0.bias").zero_()
    far = near.at(torch.ones(2))
    draws = iter([near, far])
    assert away_from_kinks(lambda: next(draws)) is far
    with pytest.raises(ProblemError, match="none of 100 draws"):
        away_from_kinks(lambda: near)


@pytest.mark.parametrize("seed", range(21))
def test_saturated_logits_are_fifteen_to_twenty_apart(seed: int) -> None:
    for name in (n for n, tags in OF_TAGS.items() if "saturated" in tags):
        outputs = catalogue_problem(name, seed=seed).outputs
        gaps = outputs.abs() if "binary" in OF_TAGS[name] else outputs.topk(2).values.diff().abs()
        assert 15 < float(gaps.min()) <= float(gaps.max()) < 20


def test_problems_repeat_and_seeds_matter() -> None:
    for name, problem in PROBLEMS.items():
        again, other = catalogue_problem(name), catalogue_problem(name, seed=1)
        assert torch.equal(again.vector, problem.vector)
        assert torch.equal(again.inputs, problem.inputs)
        assert not torch.equal(other.vector, problem.vector)


def _digest(problems: dict[str, Problem]) -> str:
    """A digest of all numbers, rounded to six digits, so that other processors give the same."""
    text = hashlib.sha256()
    for name, problem in problems.items():
        options = [getattr(problem.loss, key, None) for key in ("reduction", "ignore_index", "label_smoothing")]
        facts = [item.name for item in fields(Facts) if getattr(problem.facts, item.name)]
        text.update(f"{name} {problem.loss} {options} {facts} {CATALOGUE[name].quick}".encode())
        weights = [t for t in (getattr(problem.loss, key, None) for key in ("weight", "pos_weight")) if t is not None]
        data = [tensor for batch in problem.batches for tensor in batch]
        for tensor in (*problem.model.state_dict().values(), *weights, *data):
            text.update(str([round(x, 6) + 0.0 for x in tensor.double().reshape(-1).tolist()]).encode())
            text.update(str(tuple(tensor.shape)).encode())
        text.update(str([round(x, 6) + 0.0 for x in problem.outputs.reshape(-1).tolist()]).encode())
    return text.hexdigest()


def test_a_changed_zoo_has_a_new_version() -> None:
    assert _digest(PROBLEMS) == DIGESTS[ZOO_VERSION], (
        "the catalogue has changed: raise ZOO_VERSION and add the new digest, so that records of both are not compared"
    )


def test_any_change_changes_the_digest() -> None:
    some = dict([*PROBLEMS.items()][:3])
    digests = [_digest(some), _digest(dict([*some.items()][:2]))]
    first, problem = next(iter(some.items()))
    digests.append(_digest({**some, first: problem.at(problem.vector + 1e-5)}))
    digests.append(_digest({**some, first: replace(problem, loss=nn.MSELoss(reduction="sum"))}))
    digests.append(_digest({**some, first: replace(problem, facts=Facts())}))
    assert all(a != b for a, b in pairwise(sorted(digests)))
