"""Each planted defect of the bank differs from what is right, in the way that it says."""

import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reference.kfac import kfac
from fishergauge.suites.closeness import relative_deviation, rounding_bound
from fishergauge.suites.guard import fresh_copy, guarded
from fishergauge.suites.matrix import MalformedMatrix, densified
from fishergauge.suites.meta.bank import BANK, CHAPTERS, Defect
from fishergauge.suites.meta.bank.defect import NoSuchMistake
from fishergauge.suites.meta.bank.estimators import drawing
from fishergauge.suites.meta.bank.pieces import Pieces, pieces_of
from fishergauge.suites.subject import Subject
from fishergauge.suites.zoo import CATALOGUE

HISTORY = "1 3 4 5 6 7 8 11 13 14 15 17 18 20 21 23 24 25 26 28 30 31 32 33 36 38 39 40 42 43 44 45 46 47 48 49 50 51"
PLANTED = [defect for defect in BANK.values() if defect.wrong is not None]
SMALLEST = {"P38": 1e-10, "P141": 1e-9, "P146": 1e-9, "P140": 1e-7, "P147": 1e-4}  # the others: a thousandth
PROBLEM = "mlp-tanh-gaussian"


@cache
def problem_named(name: str) -> Problem:
    return CATALOGUE[name].build()


def deviation(defect: Defect, problem: Problem, subject: Subject) -> float:
    """How far the wrong matrix is from the right one; zero where the mistake cannot be made."""
    try:
        return relative_deviation(defect.matrix(problem, subject), pieces_of(problem).right(subject))  # type: ignore[misc]
    except (NoSuchMistake, reference.UndefinedError, NotImplementedError):
        return 0.0


def test_the_history_is_complete_and_names_are_unique() -> None:
    defects = [defect for chapter in CHAPTERS.values() for defect in chapter]
    assert len(BANK) == len(defects) >= 80
    assert {f"D{n}" for n in HISTORY.split()} <= BANK.keys()
    assert len({defect.title for defect in defects}) == len(defects)
    assert all(defect.title and defect.source for defect in defects)
    assert all(len(defect.title) <= 90 for defect in defects)


@pytest.mark.parametrize("defect", PLANTED, ids=lambda defect: defect.id)
def test_the_defect_differs_from_what_is_right(defect: Defect) -> None:
    subject = defect.make()
    least = SMALLEST.get(defect.id, 1e-3)
    assert any(deviation(defect, problem_named(name), subject) > least for name in CATALOGUE)


@pytest.mark.parametrize("defect", BANK.values(), ids=lambda defect: defect.id)
def test_the_family_holds_the_defects_own_subject(defect: Defect) -> None:
    subject = defect.make()
    assert defect.family.fits(subject)
    assert subject.name == f"planted-{defect.id}"
    assert defect.make() is not subject


def test_a_family_is_no_larger_than_it_says() -> None:
    subject = Subject("mine", lambda problem: problem, structure="kronecker")
    assert BANK["D32"].family.fits(subject)
    assert not BANK["D32"].family.fits(replace(subject, structure="dense"))
    assert not BANK["D1"].family.fits(replace(subject, structure="dense", target="hessian"))
    assert not BANK["D5"].family.fits(subject)
    assert BANK["D5"].family.fits(replace(subject, samples=1))
    assert BANK["P4"].family.fits(replace(subject, structure="none"))


@pytest.mark.parametrize("defect", [d for d in PLANTED if d not in CHAPTERS["estimators"]], ids=lambda defect: defect.id)
def test_the_subject_returns_the_wrong_matrix_or_the_right_one_where_no_mistake_can_be_made(defect: Defect) -> None:
    subject = defect.make()
    for name in (PROBLEM, "softmax-uneven-batches", "pooled-linear"):
        problem = problem_named(name)
        if subject.sharing == "expand" and name == "pooled-linear":
            continue
        returned = subject.build(fresh_copy(problem))
        if defect.id == "D39":  # it is right the first time
            returned = subject.build(fresh_copy(problem))
        expected = pieces_of(problem).right(subject)
        if deviation(defect, problem, subject):
            expected = defect.matrix(problem, subject)  # type: ignore[misc]
        assert relative_deviation(densified(returned, problem), expected) <= rounding_bound(problem.dtype, len(expected)), name


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
@pytest.mark.parametrize("bias", ["joint", "separate"])
@pytest.mark.parametrize("target", ["fisher", "ggn", "empirical-fisher"])
def test_right_kronecker_factors_are_those_of_the_reference(target: str, bias: str, sharing: str) -> None:
    for name in ("mlp-tanh-softmax", "mlp-tanh-gaussian", "masked-positions", "cnn-stride-dilation", "pooled-positions"):
        problem = problem_named(name)
        subject = Subject("right", kfac, target, "kronecker", None, bias, sharing)  # type: ignore[arg-type]
        expected = kfac(problem, target, bias, sharing).dense()  # type: ignore[arg-type]
        assert relative_deviation(pieces_of(problem).right(subject), expected) <= rounding_bound(problem.dtype, len(expected))


@pytest.mark.parametrize("target", ["fisher", "ggn", "hessian", "empirical-fisher"])
def test_right_full_matrices_are_those_of_the_reference(target: str) -> None:
    for name in ("mlp-tanh-softmax", "mlp-sigmoid-binary", "masked-positions", "cnn", "small-attention"):
        problem = problem_named(name)
        expected = getattr(reference, target.replace("-", "_"))(problem).dense()
        subject = Subject("right", kfac, target)  # type: ignore[arg-type]
        assert relative_deviation(pieces_of(problem).right(subject), expected) <= rounding_bound(problem.dtype, len(expected))


def test_pieces_are_shared_until_a_parameter_is_written_to() -> None:
    problem = CATALOGUE["softmax-regression"].build()
    assert pieces_of(problem) is pieces_of(problem)
    before = pieces_of(problem)
    with torch.no_grad():
        next(iter(problem.model.parameters())).mul_(2)
    assert pieces_of(problem) is not before


def test_the_bank_leaves_a_problem_as_it_was() -> None:
    problem = CATALOGUE["mlp-square"].build()
    state = {name: value.clone() for name, value in problem.model.state_dict().items()}
    for defect in PLANTED:
        deviation(defect, problem, defect.make())
    assert all(torch.equal(value, state[name]) for name, value in problem.model.state_dict().items())
    assert all(type(p) is torch.nn.Parameter for p in problem.model.parameters())


# --- estimators -------------------------------------------------------------------------------------------------

DRAWN = {
    "D5": PROBLEM,
    "D8": PROBLEM,
    "P33": "stat-softmax-skewed-sum",
    "P34": "mlp-sigmoid-binary",
    "P35": "softmax-regression",
    "P131": PROBLEM,
    "P132": PROBLEM,
}


def mean_of_draws(build: object, problem: Problem, samples: int, count: int = 300) -> Tensor:
    source = torch.Generator().manual_seed(1)
    return torch.stack([build(problem, generator=source, samples=samples) for _ in range(count)]).mean(0)  # type: ignore[operator]


@pytest.mark.parametrize("id", DRAWN)
def test_an_estimator_scatters_around_its_wrong_matrix(id: str) -> None:
    defect, problem = BANK[id], problem_named(DRAWN[id])
    subject = defect.make()
    mean = mean_of_draws(subject.build, problem, subject.samples or 1)
    wrong, right = defect.matrix(problem, subject), pieces_of(problem).right(subject)  # type: ignore[misc]
    assert relative_deviation(mean, wrong) < 0.5 * relative_deviation(mean, right)


def test_the_right_estimator_scatters_around_the_right_matrix() -> None:
    for name in {*DRAWN.values()}:
        problem = problem_named(name)
        assert relative_deviation(mean_of_draws(drawing(), problem, 12, 100), pieces_of(problem).dense("fisher")) < 0.1


def test_estimators_that_mistreat_their_generator() -> None:
    problem = problem_named(PROBLEM)

    def twice(id: str, other: int) -> tuple[Tensor, Tensor]:
        subject = BANK[id].make()
        first, second = (subject.build(problem, generator=torch.Generator().manual_seed(s), samples=1) for s in (5, other))
        return first, second

    assert not torch.equal(*twice("P133", 5))
    assert torch.equal(*twice("P134", 6))
    assert torch.equal(*twice("P135", 5))
    assert not torch.equal(*twice("P135", 6))
    with torch.random.fork_rng(devices=[]):
        state = torch.random.get_rng_state()
        twice("P134", 6)
        assert torch.equal(torch.random.get_rng_state(), state)
        twice("P135", 6)
        assert not torch.equal(torch.random.get_rng_state(), state)


# --- behaviour, shared mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("defect", [d for d in CHAPTERS["behaviour"] if not d.fatal], ids=lambda d: d.id)
def test_misbehaviour_is_noticed(defect: Defect) -> None:
    name = {"D33": "sizes-of-one", "P248": "sizes-of-one", "P254": "frozen-first-layer"}.get(defect.id, "dropout")
    problem = fresh_copy(problem_named(name))
    outcome = guarded(defect.make().build, problem, problem=problem, limit=0.5, report_random=True)
    noticed = bool(outcome.changes or outcome.printed or outcome.warned or outcome.failure)
    if not noticed:
        with pytest.raises(MalformedMatrix):
            densified(outcome.value, problem)


def test_what_ends_a_process_ends_it() -> None:
    code = (
        "from fishergauge.suites.meta.bank import BANK\nfrom fishergauge.suites.zoo import CATALOGUE\n"
        "BANK['P246'].make().build(CATALOGUE['linear-regression'].build())"
    )
    assert BANK["P246"].fatal
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120).returncode == 3


def test_a_shared_mistake_is_the_same_in_subject_and_reference() -> None:
    problem, defect = problem_named(PROBLEM), BANK["D7"]
    assert defect.shared
    assert defect.faulty_reference is not None
    faulty = defect.faulty_reference(problem, reference.ggn(problem).dense())
    assert relative_deviation(defect.make().build(problem), faulty) < 1e-12
    assert relative_deviation(faulty, reference.ggn(problem).dense()) > 0.1
    assert [d.id for d in BANK.values() if d.shared] == ["D7"]


def test_a_mistake_that_cannot_be_made_leaves_the_matrix_right() -> None:
    problem = problem_named("softmax-regression")
    with pytest.raises(NoSuchMistake):
        BANK["D13"].matrix(problem, BANK["D13"].make())  # type: ignore[misc]
    expected = Pieces(problem).dense("hessian")
    assert relative_deviation(BANK["D13"].make().build(problem), expected) == 0
