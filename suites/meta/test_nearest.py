"""The search for the planted defect that a wrong matrix resembles."""

import time
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reference.curvature import Per
from fishergauge.suites.meta.bank import BANK, Defect
from fishergauge.suites.meta.bank.pieces import pieces_of
from fishergauge.suites.nearest import describe, nearest_defects, recognised
from fishergauge.suites.precision import converted
from fishergauge.suites.subject import Subject
from fishergauge.suites.zoo import CATALOGUE

PLANTED = [defect for defect in BANK.values() if defect.wrong is not None and not defect.shared]
# Mistakes that lead to the same matrix as others wherever they are made: these are named together.
TWINS = {"P5": "P13", "P25": "P13", "P131": "D39", "D5": "P11", "P72": "P11", "D15": "P2", "P75": "P2"}


@cache
def problem_named(name: str) -> Problem:
    return CATALOGUE[name].build()


def mine(target: str = "ggn", structure: str = "dense", **others: object) -> Subject:
    return Subject("mine", lambda problem: problem, target=target, structure=structure, **others)  # type: ignore[arg-type]


def named_together(matrix: Tensor, problem: Problem, subject: Subject) -> list[str]:
    """The ids of the nearest defects, all at distance zero but for rounding."""
    return [defect.id for defect, distance in nearest_defects(matrix, problem, subject) if distance <= 1e-13]


@pytest.mark.parametrize("defect", PLANTED, ids=lambda defect: defect.id)
def test_a_defect_is_recognised_by_its_own_matrix(defect: Defect) -> None:
    subject, found = defect.make(), []
    for problem in map(problem_named, CATALOGUE):
        try:
            matrix = defect.matrix(problem, subject)  # type: ignore[misc]
        except Exception:  # a mistake that cannot be made here
            continue
        ids = named_together(matrix, problem, subject)
        if defect.id in ids:
            found.append(ids)
            if ids == [defect.id]:
                break
    assert found, "it is recognised nowhere"
    alone = any(ids == [defect.id] for ids in found)
    assert alone != (defect.id in TWINS), f"named with {min(found, key=len)}"
    assert alone or all(TWINS[defect.id] in ids for ids in found)


def test_the_message_of_the_commonest_mistake() -> None:
    problem, subject = problem_named("mlp-tanh-softmax"), mine("fisher", "kronecker", bias="joint")
    wrong = pieces_of(problem).right(subject) / 36
    text = describe(nearest_defects(wrong, problem, subject, 36 * wrong))
    assert text.startswith('planted defect D1 "gradients of the mean loss squared" (relative distance ')
    assert "; next: " in text


def test_the_search_is_the_same_for_operators_that_were_made_dense_in_single_precision() -> None:
    problem = converted(problem_named("mlp-tanh-softmax"), torch.float32)
    wrong = reference.ggn(problem).dense() / 36
    nearest = nearest_defects(wrong, problem, mine())
    assert nearest[0][0].id == "D1"
    assert nearest[0][1] < 1e-5


def test_equally_near_defects_are_named_together() -> None:
    problem = problem_named("mlp-tanh-softmax")
    text = describe(nearest_defects(reference.ggn(problem).dense() / 6, problem, mine()))
    assert 'D14 "divided by the size of the batch twice" or P1 ' in text
    squares = problem_named("linear-regression")
    halved = describe(nearest_defects(reference.ggn(squares).dense() / 2, squares, mine()))
    assert halved.startswith("planted defect P")
    assert halved.count('"') == 6
    assert " (relative distance " in halved


def test_what_resembles_nothing_is_said_to() -> None:
    problem = problem_named("mlp-tanh-softmax")
    exact = reference.ggn(problem).dense()
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(3), dtype=exact.dtype)
    text = describe(nearest_defects(exact + 0.3 * exact.norm() / noise.norm() * (noise + noise.T), problem, mine()))
    assert text.startswith("none of the bank")
    far = torch.eye(len(exact), dtype=exact.dtype) + 0.5 * noise
    assert describe(nearest_defects(far, problem, mine())).startswith("none of the bank (closest: ")
    assert describe([]) == "none of the bank"


@pytest.mark.parametrize("factor", [1.05, 1 + 1e-5])
def test_a_defect_that_explains_little_of_the_deviation_is_not_named(factor: float) -> None:
    problem = problem_named("mlp-tanh-softmax")
    assert describe(nearest_defects(factor * reference.ggn(problem).dense(), problem, mine())).startswith("none of the bank")


def test_a_right_matrix_resembles_nothing() -> None:
    for problem in map(problem_named, CATALOGUE):
        exact = reference.ggn(problem).dense()
        assert describe(nearest_defects(exact * (1 + 1e-15), problem, mine())).startswith("none of the bank")


def test_what_cannot_be_compared_has_no_nearest() -> None:
    problem = problem_named("mlp-tanh-softmax")
    exact = reference.ggn(problem).dense()
    assert nearest_defects(exact[:-1], problem, mine()) == []
    assert nearest_defects(exact / 0, problem, mine()) == []
    assert nearest_defects(exact * torch.nan, problem, mine()) == []


def test_a_matrix_of_zeros_is_recognised() -> None:
    problem = problem_named("mlp-tanh-softmax")
    nearest = nearest_defects(torch.zeros_like(reference.ggn(problem).dense()), problem, mine())
    assert (nearest[0][0].id, nearest[0][1]) == ("D26", 0.0)


def test_an_estimate_is_recognised_in_spite_of_its_noise() -> None:
    problem, subject = problem_named("stat-softmax-uniform"), replace(BANK["D8"].make(), samples=8)
    drawn = subject.build(problem, generator=torch.Generator().manual_seed(4), samples=8)
    assert nearest_defects(drawn, problem, subject)[0][0].id == "D8"


def test_a_bias_that_is_not_declared_is_recognised() -> None:
    problem = problem_named("mlp-tanh-softmax")
    exact = reference.ggn(problem)
    undeclared = mine("ggn", "block-diagonal")
    assert recognised(exact.block_diagonal("layer"), problem, undeclared).bias == "joint"
    assert recognised(exact.block_diagonal("parameter"), problem, undeclared).bias == "separate"
    assert recognised(exact.block_diagonal("layer"), problem, mine("ggn", "block-diagonal", bias="separate")).bias == "separate"
    kinds: tuple[Per, ...] = ("layer", "parameter")
    for per in kinds:
        wrong = exact.block_diagonal(per) / 36
        assert nearest_defects(wrong, problem, undeclared)[0][0].id == "D1"


def test_parameters_that_were_written_to_are_noticed() -> None:
    problem = CATALOGUE["softmax-regression"].build()
    nearest_defects(torch.eye(12, dtype=problem.dtype), problem, mine())
    with torch.no_grad():
        next(iter(problem.model.parameters())).mul_(3)
    wrong = reference.ggn(problem).dense() / 81
    assert nearest_defects(wrong, problem, mine())[0][0].id == "D1"


def test_a_problem_without_a_fisher_has_its_defects_all_the_same() -> None:
    problem = problem_named("class-weights")
    ignored = BANK["P51"]
    matrix = ignored.matrix(problem, mine())  # type: ignore[misc]
    assert describe(nearest_defects(matrix, problem, mine())).startswith('planted defect P51 "the weights of the loss ignored"')


@pytest.mark.parametrize("structure", ["dense", "kronecker", "eigen-kronecker"])
def test_the_whole_bank_takes_less_than_a_second(structure: str) -> None:
    problem = CATALOGUE["mlp-tanh-softmax"].build()
    subject = mine("fisher", structure, bias="joint")
    started = time.process_time()
    nearest_defects(torch.eye(problem.num_parameters, dtype=problem.dtype), problem, subject)
    assert time.process_time() - started < 1
