"""The correct subjects are what they declare to be."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fishergauge.reference import (
    Curvature,
    Problem,
    UndefinedError,
    block_slices,
    empirical_fisher,
    fisher,
    ggn,
    hessian,
    monte_carlo_fisher,
)
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.correct import Diagonal, LowRank, ProductsOnly, correct_subjects, drawn_globally
from fishergauge.suites.matrix import densified
from fishergauge.suites.seeding import generator
from fishergauge.suites.subject import Subject
from fishergauge.suites.zoo import zoo_problem

SUBJECTS = correct_subjects()
EXACT: dict[str, Callable[[Problem], Curvature]] = {
    "fisher": fisher,
    "ggn": ggn,
    "hessian": hessian,
    "empirical-fisher": empirical_fisher,
}

every_subject = pytest.mark.parametrize("name", list(SUBJECTS))


def _built(subject: Subject, problem: Problem) -> Any:
    keywords = {"generator": generator("correct", subject.name)} if "generator" in subject.keywords else {}
    with torch.random.fork_rng(devices=[]):
        return subject.build(problem, **keywords)


def test_every_structure_and_target_and_form_is_there() -> None:
    subjects = SUBJECTS.values()
    assert len(SUBJECTS) >= 20
    assert {s.target for s in subjects} == set(EXACT)
    structures = {"dense", "block-diagonal", "diagonal", "quasi-diagonal", "kronecker", "eigen-kronecker", "low-rank"}
    assert {s.structure for s in subjects} == structures
    kronecker = {(s.bias, s.sharing) for s in subjects if s.structure == "kronecker"}
    assert kronecker == {(b, f) for b in ("joint", "separate") for f in ("expand", "reduce")}
    assert {s.samples for s in subjects} == {None, 1, 8}
    assert all(name == s.name for name, s in SUBJECTS.items())


@every_subject
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_matrix_has_the_shape_and_dtype_of_the_problem(name: str, dtype: torch.dtype) -> None:
    problem = zoo_problem("mlp-tanh-softmax", dtype=dtype)
    assert densified(_built(SUBJECTS[name], problem), problem).dtype == dtype


@pytest.mark.parametrize(
    "name", [n for n, s in SUBJECTS.items() if s.structure in ("dense", "block-diagonal", "diagonal") and not s.drawn]
)
@pytest.mark.parametrize("problem_name", ["mlp-tanh-softmax", "conv1d-tagging", "attention", "masked-labels"])
def test_what_is_kept_is_exact(name: str, problem_name: str) -> None:
    subject, problem = SUBJECTS[name], zoo_problem(problem_name)
    exact = EXACT[subject.target](problem)
    if subject.structure == "dense":
        expected = exact.dense()
    elif subject.structure == "diagonal":
        expected = exact.diagonal().diag()
    else:
        expected = exact.block_diagonal("layer" if subject.bias == "joint" else "parameter")
    matrix = densified(_built(subject, problem), problem)
    assert_close(matrix, expected, name, scale=float(exact.dense().norm()))
    with pytest.raises(ClaimViolated):
        assert_close(1.01 * matrix, expected, "one per cent")


@pytest.mark.parametrize("name", [n for n, s in SUBJECTS.items() if s.solve is not None])
def test_solve_without_damping_is_the_inverse(name: str) -> None:
    subject, problem = SUBJECTS[name], zoo_problem("logistic-regression")
    raw = _built(subject, problem)
    dense = densified(raw, problem)
    vector = torch.randn(len(dense), generator=generator("solve", name), dtype=dense.dtype)
    assert subject.solve is not None
    values = torch.linalg.eigvalsh(dense)
    inside = dense @ vector  # in the range, where inverse and pseudo-inverse agree
    kept = values[values > 1e-12 * values[-1]]
    assert_close(dense @ subject.solve(raw, inside, 0.0), inside, name, condition=float(kept[-1] / kept[0]))


@every_subject
def test_where_no_fisher_is_defined_a_fisher_refuses(name: str) -> None:
    subject, problem = SUBJECTS[name], zoo_problem("class-weights")
    if subject.target == "fisher":
        with pytest.raises(UndefinedError, match="class weights"):
            _built(subject, problem)
    else:
        densified(_built(subject, problem), problem)


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "multilabel-regression", "mlp-tanh-gaussian"])
def test_labels_from_the_global_generator_are_those_of_the_model(name: str) -> None:
    problem = zoo_problem(name)
    draws, exact = 4000, fisher(problem).dense()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first, again = drawn_globally(problem, draws).dense(), drawn_globally(problem, draws).dense()
    spread = max(
        float((first - again).norm()), float((monte_carlo_fisher(problem, draws, generator(name)).dense() - exact).norm())
    )
    assert 0 < float((first - exact).norm()) < 4 * spread
    assert not float((1.3 * first - exact).norm()) < 4 * spread


def test_the_small_classes_multiply_as_their_matrices() -> None:
    problem = zoo_problem("softmax-regression")
    dense, vectors = ggn(problem).dense(), torch.randn(12, 2, generator=generator("classes"), dtype=torch.float64)
    assert_close(Diagonal(dense.diagonal()) @ vectors, dense.diagonal().diag() @ vectors, "diagonal")
    values, basis = torch.linalg.eigh(dense)
    assert_close(
        LowRank(values, basis) @ vectors, dense @ vectors, "all eigenpairs", scale=float(dense.norm() * vectors.norm())
    )
    with pytest.raises(ValueError, match="one vector"):
        ProductsOnly(problem) @ vectors
    assert block_slices(problem)[""] == slice(0, 12)
