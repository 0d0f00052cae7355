"""A model that is used again: what the two claims see, what they leave alone, and the fault that they plant."""

import copy
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from fishergauge.reference import Problem, ggn
from fishergauge.suites.closeness import relative_deviation
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.execution import Executor
from fishergauge.suites.fault import Fault, ForwardFailed, last_called
from fishergauge.suites.guard import fresh_copy
from fishergauge.suites.matrix import densified
from fishergauge.suites.meta.bank import BANK, CHAPTERS, Defect
from fishergauge.suites.record import Record
from fishergauge.suites.selection import Check, Options
from fishergauge.suites.subject import Subject
from fishergauge.suites.untouched import differences, problem_state
from fishergauge.suites.zoo import catalogue_problem

PROBLEM = "mlp-tanh-softmax"
TOGETHER, EXCEPTION, UNTOUCHED = "T26-together", "T26-exception", "T26-untouched"


def record(subject: Subject, claim: str, problem: str = PROBLEM) -> Record:
    """What becomes of one check."""
    return Executor(subject, Options(), explain=False).run(Check(claim, problem))


def mine(build: Callable[..., Any], **declared: Any) -> Subject:
    return Subject("mine", build, target="ggn", structure="none", **declared)


def right(problem: Problem) -> Tensor:
    return ggn(problem).dense()


class Lazy:
    """Evaluates the model at each product, and not before."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.shape = (problem.num_parameters, problem.num_parameters)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return right(self.problem) @ vectors


# --- the fault ----------------------------------------------------------------------------------------------------------


def test_a_fault_reaches_copies_and_functional_calls_and_is_counted() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    fault = Fault(model[1])
    values: dict[str, Tensor] = dict(model.named_parameters())
    x = torch.ones(3, 2)
    calls: list[Callable[[], object]] = [
        lambda: model(x),
        lambda: copy.deepcopy(model)(x),
        lambda: functional_call(model, values, (x,)),
        lambda: vmap(lambda one: functional_call(model, values, (one,)))(x),
    ]
    for call in calls:
        call()
    assert fault.calls == len(calls)
    fault.arm(2)
    model(x)
    for call in calls:
        with pytest.raises(ForwardFailed):
            call()
    assert (fault.calls, fault.raised) == (5, 4)
    fault.disarm()
    for call in calls:
        call()
    assert fault.calls == len(calls)


PLACES = {"mlp-tanh-softmax": "2", "linear-regression": "", "other-order": "last", "small-attention": "head", "cnn": "4"}


@pytest.mark.parametrize("name", PLACES)
def test_the_module_that_ends_last_is_found_and_no_hook_stays(name: str) -> None:
    problem = catalogue_problem(name)
    before = problem_state(problem)
    assert last_called(problem) == PLACES[name]
    assert not differences(before, problem_state(problem))


# --- what is cleared ----------------------------------------------------------------------------------------------------


def on_a_copy(problem: Problem) -> Tensor:
    """Modifies a model without restraint, which is a copy of its own."""
    model = copy.deepcopy(problem.model)
    model.register_forward_hook(lambda *_: None)
    model.train()
    return right(replace(problem, model=model.eval()))


def by_another_way(problem: Problem) -> Tensor:
    """Falls back on another way that is right, and does not need the module that fails."""
    matrix = right(fresh_without_hooks(problem))
    try:
        problem.model(problem.inputs)
    except RuntimeError:
        return matrix
    return matrix


def fresh_without_hooks(problem: Problem) -> Problem:
    other = fresh_copy(problem)
    for module in other.model.modules():
        module._forward_hooks.clear()
    return other


def refusing(problem: Problem) -> Tensor:
    """Says of what fails that it is not supported."""
    try:
        return right(problem)
    except RuntimeError as error:
        raise NotImplementedError("this model cannot be evaluated") from error


CLEARED = {
    "tensor": mine(right),
    "operator": mine(ggn),
    "evaluated at each product": mine(Lazy),
    "on a copy of its own": mine(on_a_copy),
    "by another way": mine(by_another_way),
    "refusing": mine(refusing),
    **{name: correct_subjects()[name] for name in ("ggn-scipy", "kfac-joint", "monte-carlo-1", "monte-carlo-kfac")},
}


@pytest.mark.parametrize("claim", [TOGETHER, EXCEPTION])
@pytest.mark.parametrize("what", CLEARED)
def test_right_subjects_are_cleared(what: str, claim: str) -> None:
    found = record(CLEARED[what], claim)
    assert found.verdict == "holds", found
    assert found.measured == 0


def test_nothing_is_said_where_the_fault_is_not_reached() -> None:
    found = record(mine(lambda problem: right(fresh_without_hooks(problem))), EXCEPTION)
    assert found.empty
    assert "no forward pass called the module that was to raise" in found.reason


def test_one_sample_has_no_second_half() -> None:
    assert "one sample cannot be divided" in record(mine(right), TOGETHER, "one-sample-softmax").reason


# --- what is seen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("defect", CHAPTERS["models used again"], ids=lambda defect: defect.id)
def test_a_defect_is_right_on_a_fresh_model_and_seen_by_its_claims_alone(defect: Defect) -> None:
    subject, problem = defect.make(), catalogue_problem(PROBLEM)
    for _ in range(2):
        copy = fresh_copy(problem)
        assert relative_deviation(densified(subject.build(copy), copy), right(problem)) == 0
    claims = (TOGETHER, EXCEPTION, UNTOUCHED, "T1", "T26-repeatable")
    assert {claim for claim in claims if record(defect.make(), claim).red} == set(defect.sees)


WITNESSES = {
    "D50": "after a forward pass that raised, left changed: hooks",
    "D51": "the second matrix: .*ratio to the expected block 2 in every entry",
    "P275": "the first matrix, after the second was built: ",
    "P277": "left changed: gradient mode",
    "P278": "the next matrix of the same model, after an exception: .*ratio to the expected block 2",
    "P279": "RuntimeError: the model is in use",
    "P280": "the exception did not reach the caller, and what was returned: .*zero, expected norm",
}


@pytest.mark.parametrize("id", WITNESSES)
def test_the_witness_says_what_went_wrong(id: str) -> None:
    red = [found for claim in (TOGETHER, EXCEPTION) if (found := record(BANK[id].make(), claim)).red]
    assert len(red) == 1
    assert red[0].verdict == "violated"
    assert re.search(WITNESSES[id], red[0].witness)


class Shared:
    """Right products of its own, and what else it offers from a place that the next one on the model overwrites."""

    def __init__(self, problem: Problem) -> None:
        self.model, self.matrix = problem.model, right(problem)
        self.shape = self.matrix.shape
        self.model.__dict__["kept"] = self.matrix

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return self.matrix @ vectors

    def kept(self) -> Tensor:
        kept: Tensor = self.model.__dict__["kept"]
        return kept


class SharedDiagonal(Shared):
    def diagonal(self) -> Tensor:
        return self.kept().diagonal()


def shared_solve(matrix: Shared, vector: Tensor, damping: float) -> Tensor:
    solution: Tensor = torch.linalg.solve(matrix.kept() + damping * torch.eye(len(vector)).to(vector), vector)
    return solution


def failing_solve(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
    raise ValueError("no solution today")


@pytest.mark.parametrize("subject", [mine(SharedDiagonal), mine(Shared, solve=shared_solve)])
def test_the_diagonal_and_the_solution_of_the_first_matrix_are_examined(subject: Subject) -> None:
    found = record(subject, TOGETHER)
    assert found.verdict == "violated"
    assert ("diagonal" if subject.solve is None else "damped solution") in found.witness
    assert record(replace(subject, build=Shared, solve=failing_solve), TOGETHER).verdict == "holds"


class Overwritten:
    """Writes what it reads at its first product, and takes it from there ever after."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.started = problem, False
        self.shape = (problem.num_parameters, problem.num_parameters)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        if not self.started:
            self.problem.model.__dict__["kept"] = right(self.problem)
            self.started = True
        kept: Tensor = self.problem.model.__dict__["kept"]
        return kept @ vectors


def test_the_second_matrix_is_asked_again_after_the_first() -> None:
    found = record(mine(Overwritten), TOGETHER)
    assert found.verdict == "violated"
    assert found.witness.startswith("the second matrix, after the first was used")


def once_a_model(error: type[Exception]) -> Callable[[Problem], Tensor]:
    """Does not take a model that it has seen."""

    def build(problem: Problem) -> Tensor:
        if "seen" in problem.model.__dict__:
            raise error("this model has been extended")
        problem.model.__dict__["seen"] = True
        return right(problem)

    return build


def test_a_second_matrix_that_fails_is_seen_and_a_refused_one_is_a_refusal() -> None:
    found = record(mine(once_a_model(KeyError)), TOGETHER)
    assert found.verdict == "violated"
    assert "with two matrices on one model: KeyError: 'this model has been extended'" in found.witness
    assert record(mine(once_a_model(NotImplementedError)), TOGETHER).verdict == "unsupported"


def late(problem: Problem) -> Tensor:
    """Hooks that are in place for the last forward pass alone."""
    matrix = right(problem)
    handle = problem.model.register_forward_hook(lambda *_: None)
    problem.model(problem.inputs)
    handle.remove()
    return matrix


class LateProduct(Lazy):
    """The same at a product."""

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return late(self.problem) @ vectors


class LateProductAfterBuild(LateProduct):
    """The same with forward passes in the build."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        right(problem)


@pytest.mark.parametrize("build", [late, LateProduct, LateProductAfterBuild])
def test_the_last_forward_pass_fails_as_well_as_the_first(build: Callable[[Problem], Any]) -> None:
    assert record(mine(build), EXCEPTION).witness == "after a forward pass that raised, left changed: hooks"


def marked(problem: Problem) -> Tensor:
    """A mark on the model, which an exception leaves and the next build takes for its own."""
    marks = problem.model.__dict__
    factor = 2 if "mark" in marks else 1
    marks["mark"] = torch.ones(())
    matrix = right(problem)
    del marks["mark"]
    return factor * matrix


def test_what_comes_of_a_trace_is_told_with_it() -> None:
    found = record(mine(marked), EXCEPTION)
    assert found.measured == pytest.approx(1)
    assert found.bound
    assert "left changed: attributes of modules; the next matrix of the same model, after an exception: " in found.witness


def right_once() -> Callable[[Problem], Tensor]:
    """Right in spite of an exception, and wrong from then on."""
    failed: WeakSet[nn.Module] = WeakSet()

    def build(problem: Problem) -> Tensor:
        matrix = right(fresh_without_hooks(problem))
        try:
            problem.model(problem.inputs)
        except RuntimeError:
            failed.add(problem.model)
            return matrix
        return 2 * matrix if problem.model in failed else matrix

    return build


def test_the_next_matrix_is_examined_where_an_exception_did_no_harm() -> None:
    assert "the next matrix of the same model" in record(mine(right_once()), EXCEPTION).witness


def moving(problem: Problem) -> Tensor:
    """Moves the parameters."""
    matrix = right(problem)
    with torch.no_grad():
        next(problem.model.parameters()).add_(1)
    return matrix


def test_moved_parameters_are_not_held_against_the_second_matrix() -> None:
    assert record(mine(moving), UNTOUCHED).red
    found = record(mine(moving), TOGETHER)
    assert found.empty
    assert "the first call moved the parameters" in found.reason


def always_hooked(problem: Problem) -> Tensor:
    """Leaves a hook, with and without an exception."""
    problem.model.register_forward_hook(lambda *_: None)
    return right(problem)


def doubled(problem: Problem) -> Tensor:
    """Grows with each call on a model, with and without an exception."""
    problem.model.__dict__["calls"] = problem.model.__dict__.get("calls", 0) + 1
    return problem.model.__dict__["calls"] * right(problem)  # type: ignore[no-any-return]


def test_what_goes_wrong_without_an_exception_as_well_is_left_to_others() -> None:
    assert record(mine(always_hooked), UNTOUCHED).red
    assert record(mine(always_hooked), EXCEPTION).verdict == "holds"
    assert record(mine(doubled), TOGETHER).red
    found = record(mine(doubled), EXCEPTION)
    assert found.empty
    assert "goes wrong without an exception as well" in found.reason


# --- rounding that a solution magnifies ---------------------------------------------------------------------------------


def magnified(power: float, off: float) -> Subject:
    """A solution that goes with a power of the matrix's norm, and differs by so much from one call to the next."""
    calls: list[float] = []

    def solve(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
        calls.append(damping)
        scale = math.pow(float(matrix.norm() / damping), power) * (1 + off * (len(calls) % 2))
        return vector * scale

    return mine(right, solve=solve)


@pytest.mark.parametrize(
    ("power", "off", "verdict"), [(1.0, 1e-12, "violated"), (300.0, 1e-12, "holds"), (300.0, 1e-9, "violated")]
)
def test_a_solution_may_differ_by_what_it_magnifies_of_rounding(power: float, off: float, verdict: str) -> None:
    found = record(magnified(power, off), TOGETHER)
    assert found.verdict == verdict, found
    assert "condition number" in found.formula
