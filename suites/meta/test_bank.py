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
from fishergauge.suites.meta.bank.operators import Described, Operator
from fishergauge.suites.meta.bank.pieces import Pieces, pieces_of
from fishergauge.suites.meta.bank.solving import factored_damping, solved
from fishergauge.suites.subject import Subject
from fishergauge.suites.zoo import CATALOGUE

HISTORY = "1 3 4 5 6 7 8 11 13 14 15 17 18 20 21 23 24 25 26 28 30 31 32 33 36 38 39 40 42 43 44 45 46 47 48 49"
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
        assert relative_deviation(returned, expected) <= rounding_bound(problem.dtype, len(expected)), name


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


# --- memory, operators, solving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["D38", "D39", "P182", "P183"])
def test_a_subject_with_a_memory_repeats_itself_wrongly(id: str) -> None:
    problem, subject = problem_named(PROBLEM), BANK[id].make()
    first, again = subject.build(problem), densified(subject.build(problem), problem)
    if id == "D38":
        assert relative_deviation(densified(first, problem), densified(first, problem)) > 1e-5
        return
    assert relative_deviation(first, again) > 1e-7 or id == "P182"
    right = pieces_of(problem).right(subject)
    assert relative_deviation(again, right) > 1e-7


@pytest.mark.parametrize("id", ["P180", "P181"])
def test_a_subject_with_a_memory_is_wrong_at_other_parameters(id: str) -> None:
    problem, subject = problem_named(PROBLEM), BANK[id].make()
    moved = problem.at(2 * problem.vector)
    assert relative_deviation(subject.build(problem), reference.ggn(problem).dense()) < 1e-12
    assert relative_deviation(subject.build(moved), reference.ggn(moved).dense()) > 0.1


def symptoms(operator: object, matrix: Tensor) -> set[str]:
    """What is inconsistent about an operator."""
    found, size = set(), len(matrix)
    source = torch.Generator().manual_seed(2)
    one, other = torch.randn(2, size, generator=source, dtype=matrix.dtype)

    def apply(vectors: Tensor) -> Tensor:
        if hasattr(operator, "matvec"):
            return torch.as_tensor(operator @ vectors.numpy())
        result: Tensor = operator @ vectors.clone()  # type: ignore[operator]
        return result

    def far(actual: Tensor, expected: Tensor) -> bool:
        return float((actual - expected).norm()) > 1e-9 * float(matrix.norm())

    products = apply(one), apply(other)
    pair = apply(torch.stack([one, other], 1))
    found |= {"product"} if far(products[0], matrix @ one) else set()
    found |= {"several"} if far(pair, torch.stack([matrix @ one, matrix @ other], 1)) else set()
    found |= {"linear"} if far(apply(one + other), products[0] + products[1]) else set()
    found |= {"zero"} if far(apply(0 * one), 0 * one) else set()
    found |= {"symmetric"} if far(other @ products[0], one @ products[1]) else set()
    for what, expected in (("diagonal", matrix.diagonal()), ("trace", matrix.trace())):
        if hasattr(operator, what) and far(getattr(operator, what)(), expected):
            found.add(what)
    if hasattr(operator, "solve"):
        damped = matrix + 0.1 * torch.eye(size, dtype=matrix.dtype)
        found |= {"solve"} if far(damped @ operator.solve(one, 0.1), one) else set()
    if isinstance(operator, Operator):
        vector = one.clone()
        _ = operator @ vector
        found |= {"vector"} if far(vector, one) else set()
    return found


OPERATORS = {
    "D17": {"diagonal"}, "D45": {"product", "several", "linear", "zero"}, "P190": {"symmetric"}, "P191": {"linear", "zero"},
    "P192": {"several"}, "P193": {"linear"}, "P194": {"symmetric"}, "P195": {"linear"}, "P196": {"product"}, "P197": {"linear"},
    "P198": {"vector"}, "P199": {"diagonal"}, "P200": {"trace"}, "P201": {"solve"},
}  # fmt: skip


@pytest.mark.parametrize("id", OPERATORS)
def test_an_operator_is_inconsistent_as_it_says(id: str) -> None:
    problem = problem_named(PROBLEM)
    found = symptoms(BANK[id].make().build(problem), reference.ggn(problem).dense())
    assert OPERATORS[id] <= found
    if "product" not in found:
        assert len(found - {"symmetric", "zero"}) <= 2


def test_every_operator_of_the_bank_is_examined_and_a_right_one_shows_nothing() -> None:
    assert OPERATORS.keys() == {defect.id for defect in CHAPTERS["operators"]}
    problem = problem_named(PROBLEM)
    assert not symptoms(Described(problem), reference.ggn(problem).dense())


def residual(solve: object, matrix: object, problem: Problem) -> float:
    """The relative residual of a damped solution."""
    right = torch.linspace(-1, 1, problem.num_parameters, dtype=problem.dtype)
    solution = solve(matrix, right.clone(), 0.05)  # type: ignore[operator]
    dense = densified(matrix, problem)
    return relative_deviation(dense @ solution + 0.05 * solution, right)


@pytest.mark.parametrize("defect", [d for d in CHAPTERS["solving"] if d.make().structure == "dense"], ids=lambda d: d.id)
def test_a_solution_solves_nothing(defect: Defect) -> None:
    problem, subject = problem_named(PROBLEM), defect.make()
    assert residual(subject.solve, subject.build(problem), problem) > 1e-8
    assert residual(solved, subject.build(problem), problem) < 1e-12


@pytest.mark.parametrize("id", ["D40", "P219", "P220"])
def test_factored_damping_is_unbalanced(id: str) -> None:
    from fishergauge.reference.kfac import pi_of

    problem, subject = problem_named("deep-linear-three"), BANK[id].make()
    assert subject.solve is not None
    matrix, right = subject.build(problem), torch.linspace(-1, 1, problem.num_parameters, dtype=problem.dtype)
    expected = matrix.solve(right, 0.05)
    balanced = factored_damping(lambda piece: pi_of(piece.input_factor, piece.output_factor))
    assert relative_deviation(balanced(matrix, right, 0.05), expected) < 1e-12
    assert relative_deviation(subject.solve(matrix, right, 0.05), expected) > 1e-3


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
