"""The registry: every implementation once, chosen by kind and pattern, and none of them wrong or leaving traces."""

import importlib.util

import pytest
import torch

from fishergauge.reference import Problem, UnsupportedError, kfac
from fishergauge.suites.benchmarks.implementation import Implementation, Kind
from fishergauge.suites.benchmarks.of_reference import not_softmax_regression
from fishergauge.suites.benchmarks.registry import implementations
from fishergauge.suites.benchmarks.small_benches import SMALL
from fishergauge.suites.benchmarks.verification import Verified, verify
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.subject import Subject
from fishergauge.suites.untouched import assert_untouched, state_of

OWN: tuple[Kind, ...] = ("reference", "backpack", "notebook")
CALLED = implementations(OWN)


def outcome(each: Implementation, problem: Problem) -> Verified:
    """Of one call; a refusal is not compared."""
    if reason := each.refuses(problem):
        return Verified(None, None, None, reason)
    try:
        return verify(each, problem, each.prepare(problem)())
    except (UnsupportedError, NotImplementedError) as error:
        return Verified(None, None, None, str(error))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", OWN)
def test_none_is_wrong(name: str, kind: str) -> None:
    problem = SMALL[name].problem()
    found = {each: outcome(each, problem) for each in CALLED if each.kind == kind}
    assert not [(each.name, str(each.task), what) for each, what in found.items() if what.verified is False]
    assert sum(what.verified is True for what in found.values()) >= (0 if kind == "notebook" and name != "tiny-softmax" else 4)
    assert all(what.against for what in found.values())


def test_a_call_leaves_the_problem_and_the_process_alone() -> None:
    problem = SMALL["tiny-softmax"].problem()
    before = state_of(problem)
    for each in CALLED:
        if each.refuses(problem) is None:
            each.prepare(problem)()
    assert_untouched(problem, before)


def test_a_call_gives_the_same_result_each_time() -> None:
    problem = SMALL["tiny-mlp"].problem()
    for each in CALLED:
        if each.refuses(problem) is None:
            call = each.prepare(problem)
            assert torch.equal(each.canonical(problem, call()), each.canonical(problem, call())), each


def test_every_operation_of_every_quantity_has_an_implementation() -> None:
    tasks = {str(each.task) for each in CALLED if each.kind == "reference"}
    matrix = ("dense", "blocks", "diagonal", "first-product", "product")
    for quantity in (
        "fisher",
        "ggn",
        "hessian",
        "empirical-fisher",
        "monte-carlo-fisher",
        "kfac",
        "kfac-separate",
        "eigen-kfac",
    ):
        assert {f"{quantity}/{operation}" for operation in matrix} <= tasks
        assert quantity == "hessian" or {f"{quantity}/solve", f"{quantity}/step"} <= tasks
    assert {"kfac/factors", "kfac-empirical/factors", "gradient/rows"} <= tasks


def test_patterns_choose_by_name_task_or_quantity() -> None:
    assert {each.kind for each in implementations(globs=["notebook*"])} == {"notebook"}
    assert {str(each.task) for each in implementations(OWN, globs=["kfac/fa*"])} == {"kfac/factors"}
    assert {each.task.quantity for each in implementations(OWN, globs=["gradient"])} == {"gradient"}
    assert implementations(OWN, globs=["no such thing"]) == []


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kind: peers"):
        implementations(["peers"])  # type: ignore[list-item]


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two implementations of fisher/dense are called fishergauge; rename"):
        implementations(["reference", "subject"], [Subject("fishergauge", lambda problem: None)])


def test_peers_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    imported: list[str] = []
    monkeypatch.setattr("importlib.import_module", imported.append)
    assert implementations(["peer"]) == []
    assert imported == []


def test_matrices_of_large_problems_are_refused_and_products_are_not() -> None:
    from fishergauge.suites.benchmarks.problems import BENCHES

    problem = BENCHES["wide-small"].problem()
    by_task = {str(each.task): each.refuses(problem) for each in CALLED if each.name == "fishergauge"}
    for operation in ("dense", "blocks", "solve", "step"):
        assert by_task[f"ggn/{operation}"] == "a matrix of 73770 x 73770 is not made"
    assert by_task["ggn/product"] is by_task["ggn/first-product"] is by_task["kfac/factors"] is by_task["gradient/rows"] is None
    assert by_task["kfac/dense"] is not None
    assert by_task["kfac/solve"] is None


def test_closed_forms_are_for_softmax_regression_alone() -> None:
    assert not_softmax_regression(SMALL["tiny-softmax"].problem()) is None
    assert not_softmax_regression(SMALL["tiny-mlp"].problem()) is not None
    plain = SMALL["tiny-softmax"].problem()
    smooth = Problem(plain.model, torch.nn.CrossEntropyLoss(label_smoothing=0.1), plain.batches)
    assert not_softmax_regression(smooth) is not None


SUBJECTS = correct_subjects()
NO_RANGE = {"monte-carlo-kfac", "monte-carlo-kfac-separate", "fisher-low-rank"}


def test_correct_subjects_are_right_at_whatever_they_do() -> None:
    chosen = [each for each in implementations(["subject"], list(SUBJECTS.values())) if each.task.operation != "first-product"]
    problem = SMALL["tiny-softmax"].problem()
    found = [(each, outcome(each, problem)) for each in chosen]
    assert not [(each.name, str(each.task), what) for each, what in found if what.verified is False]
    assert {each.name for each, what in found if what.verified} == set(SUBJECTS) - NO_RANGE


def test_a_wrong_subject_is_red_at_every_operation() -> None:
    subject = Subject("halved", lambda problem: kfac(problem).dense() / 2, "fisher", "kronecker", bias="joint")
    problem = SMALL["tiny-mlp"].problem()
    chosen = implementations(["subject"], [subject])
    assert {each.task.operation: outcome(each, problem).verified for each in chosen} == {
        **dict.fromkeys(("dense", "diagonal", "first-product", "product"), False),
        "solve": None,
        "step": None,
    }


def test_the_treatment_of_the_bias_is_recognised_where_it_is_left_open() -> None:
    for bias in ("joint", "separate"):
        subject = Subject("open", lambda problem, bias=bias: kfac(problem, bias=bias), "fisher", "kronecker")
        found = {each.task.quantity for each in implementations(["subject"], [subject])}
        assert found == {"kfac" if bias == "joint" else "kfac-separate"}
