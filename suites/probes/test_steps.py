"""Probes of steps: correct subjects are cleared, wrong ones are seen, and what they measure is what dense algebra gives."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem, ggn, gradient, solve_damped
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.claim import NotHere
from fishergauge.suites.correct import Diagonal, correct_subjects
from fishergauge.suites.meta.bank.defect import Defect
from fishergauge.suites.meta.bank.solving import SOLVING
from fishergauge.suites.probes import steps
from fishergauge.suites.probes.divergence import in_double
from fishergauge.suites.probes.large_maps import in_large_coordinates
from fishergauge.suites.probes.outputs import largest_gain, linearized
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of

PROBES = {probe.id: probe for probe in steps.PROBES}
CORRECT = correct_subjects()
STEPS = (
    "exact-fisher",
    "exact-ggn",
    "ggn-scipy",
    "exact-empirical-fisher",
    "fisher-layer-blocks",
    "fisher-parameter-blocks",
    "kfac-joint",
    "kfac-separate",
    "kfac-ggn",
    "kfac-empirical",
)
SCALED = ("fisher-diagonal", "empirical-fisher-diagonal", "fisher-quasi-diagonal")
SOLVES = ("exact-fisher", "fisher-layer-blocks", "fisher-diagonal", "ekfac-joint", "fisher-low-rank")
LIMITS = ("kfac-joint", "kfac-separate", "ekfac-joint", "fisher-quasi-diagonal")


def problem_in(dtype: torch.dtype = torch.float64) -> Problem:
    made = perceptron((6, 8, 5), 9, "steps of probes")
    if dtype == torch.float64:
        return made
    return replace(made, model=made.model.to(dtype), batches=[(x.to(dtype), y) for x, y in made.batches])


def measured(probe: Probe, subject: Subject, dtype: torch.dtype = torch.float64, seed: int = 0) -> ProbeFinding:
    problem = problem_in(dtype)
    return probe.measure(ProbeCase(subject, problem, tags_of(problem), seed=seed))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("probe", "name"),
    [
        *[("probe-step", name) for name in STEPS],
        *[("probe-step-scaling", name) for name in SCALED],
        *[("probe-solve", name) for name in SOLVES],
        *[("probe-solve-limit", name) for name in LIMITS],
    ],
)
def test_correct_subjects_make_the_claims_and_keep_them(probe: str, name: str, dtype: torch.dtype) -> None:
    assert PROBES[probe].made_by(CORRECT[name])
    finding = measured(PROBES[probe], CORRECT[name], dtype)
    assert finding.holds, finding
    assert finding.measured < finding.bound / 10  # room, on a problem that is small


class Sum:
    """A matrix plus a multiple of the identity."""

    def __init__(self, matrix: Any, damping: float) -> None:
        self.matrix, self.damping, self.shape = matrix, damping, matrix.shape

    def __matmul__(self, vectors: Tensor) -> Tensor:
        product: Tensor = self.matrix @ vectors + self.damping * vectors
        return product


WRONG: dict[str, tuple[str, Subject]] = {
    "a damping of its own": ("probe-step", Subject("damped", lambda p: Sum(ggn(p), 1e-6), "ggn")),
    "a separate bias sold as joint": (
        "probe-step",
        Subject("sold", lambda p: reference.kfac(p, bias="separate"), structure="kronecker", bias="joint"),
    ),
    "EKFAC sold as K-FAC": ("probe-step", Subject("ekfac", reference.eigen_kfac, structure="kronecker", bias="joint")),
    "a diagonal sold as dense": ("probe-step", Subject("diagonal", lambda p: reference.fisher(p).diagonal().diag())),
    "a negative matrix": ("probe-step", Subject("negative", lambda p: -10 * ggn(p).dense(), "ggn")),
    "the root of the diagonal": (
        "probe-step-scaling",
        Subject("root", lambda p: Diagonal(reference.fisher(p).diagonal().sqrt()), structure="diagonal"),
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_step_that_depends_on_the_coordinates_is_seen(what: str) -> None:
    probe, subject = WRONG[what]
    assert PROBES[probe].made_by(subject)
    finding = measured(PROBES[probe], subject)
    assert finding.measured > 10 * finding.bound
    assert finding.witness


def test_a_step_changes_the_outputs_as_dense_algebra_says() -> None:
    """The measured deviation of a diagonal, by solving with (P, P) arrays in both coordinates."""
    problem = problem_in()
    subject = Subject("diagonal", lambda p: reference.fisher(p).diagonal().diag())
    case = ProbeCase(subject, problem, tags_of(problem))
    finding = PROBES["probe-step"].measure(case)
    other, mapping = in_large_coordinates(problem, "affine")  # the maps are drawn from names
    T = torch.stack([mapping.forward(unit) for unit in torch.eye(problem.num_parameters, dtype=torch.float64)], 1)
    damping = 0.1 * float(case.shared()[1].norm()) / case.columns**0.5
    identity = torch.eye(len(T), dtype=torch.float64)
    here = torch.linalg.solve(subject.build(problem) + damping * identity, gradient(problem))
    there = T @ torch.linalg.solve(subject.build(other) + damping * T.T @ T, gradient(other))
    jacobian = reference.output_jacobian(problem).flatten(0, 1)
    expected = float((jacobian @ (there - here)).norm() / (jacobian @ here).norm())
    assert expected > 1e-3
    assert finding.measured == pytest.approx(expected, rel=1e-6)
    assert case.products <= 60


def test_the_largest_gain_is_the_norm_of_the_jacobian() -> None:
    problem = problem_in()
    case = ProbeCase(CORRECT["exact-ggn"], problem, tags_of(problem))
    jacobian = reference.output_jacobian(problem).flatten(0, 1)
    gain = largest_gain(linearized(case), case.shared()[0][:, 0])
    true = float(torch.linalg.matrix_norm(jacobian, 2))
    assert 0.8 * true < gain <= true * (1 + 1e-12)


@pytest.mark.parametrize("name", ["monte-carlo-1", "exact-hessian"])
def test_a_step_that_is_not_determined_is_left_out(name: str) -> None:
    with pytest.raises(NotHere, match="not determined"):
        measured(PROBES["probe-step"], CORRECT[name])


@pytest.mark.parametrize("defect", [d for d in SOLVING if "T26-solve" in d.sees], ids=lambda d: d.id)
def test_planted_solutions_are_seen(defect: Defect) -> None:
    subject = defect.make()
    assert PROBES["probe-solve"].made_by(subject)
    finding = measured(PROBES["probe-solve"], subject)
    assert not finding.holds
    assert "relative residual" in finding.witness


@pytest.mark.parametrize("change", [lambda d: 0.0, math.sqrt, lambda d: 2 * d], ids=["forgotten", "its root", "doubled"])
def test_a_limit_that_is_another_one_is_seen(change: Callable[[float], float]) -> None:
    def solve(matrix: Any, vector: Tensor, damping: float) -> Tensor:
        solution: Tensor = matrix.solve_exactly(vector, change(damping))
        return solution

    subject = replace(CORRECT["kfac-joint"], solve=solve)
    assert not measured(PROBES["probe-solve-limit"], subject).holds


def test_a_solution_that_is_off_by_its_power_in_one_direction_is_seen_with_every_seed() -> None:
    """A rank-one defect, the hardest to see: missed with a probability of 1e-6 each time."""
    correct = Subject("correct", lambda p: ggn(p).dense(), "ggn", solve=solve_damped)
    power = measured(PROBES["probe-solve"], correct).power
    assert power is not None
    assert power < 1e-9
    size = problem_in().num_parameters
    direction = torch.randn(size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    direction /= direction.norm()

    def solve(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
        defect = power * size**0.5 * (direction @ vector) * direction
        return solve_damped(matrix, vector + defect, damping)

    wrong = replace(correct, solve=solve)
    assert all(not measured(PROBES["probe-solve"], wrong, seed=seed).holds for seed in range(40))
    smaller = replace(correct, solve=lambda m, v, d: solve_damped(m, v + 1e-4 * power * (direction @ v) * direction, d))
    assert measured(PROBES["probe-solve"], smaller).holds


def test_a_problem_in_double_precision_has_the_same_numbers() -> None:
    single = problem_in(torch.float32)
    double = in_double(single)
    assert double.dtype == torch.float64
    assert torch.equal(double.vector, single.vector.double())
    assert in_double(double) is double
