"""What once fooled the spectrum: matrices that excuse themselves, gradients that cancel, coincidences, and wrong suspects."""

import os
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, fisher, gradient, hessian, monte_carlo_fisher, quasi_diagonal
from fishergauge.reference.factored_blocks import parameter_index
from fishergauge.reference.pseudo_inverse import range_eigenpairs
from fishergauge.suites.spectrum import origin as origins
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.execution import Executor, Plan
from fishergauge.suites.spectrum.models import spectrum_problem
from fishergauge.suites.spectrum.origin import Origin
from fishergauge.suites.spectrum.subjects import as_approximation
from fishergauge.suites.spectrum_cases import CATALOGUE, SMALL, data, rows_of, small
from fishergauge.suites.subject import Subject
from fishergauge.suites.workers import why_not_isolated

MLP = small("mlp")


def truncated(problem: Problem) -> Tensor:
    """The Fisher without its small eigenvalues: its own kernel depends on the coordinates."""
    values, vectors = range_eigenpairs(fisher(problem).dense(), 0.1)
    return (vectors * values) @ vectors.mT


def test_a_matrix_does_not_excuse_itself_by_what_it_drops() -> None:
    dense = as_approximation(Subject("truncated", truncated), MLP.problem)
    rows = {row.measure: row for row in rows_of(MLP, "kronecker", [dense])}
    assert rows["outputs"].predicted == "invariant"
    assert rows["outputs"].verdict == "violated"


def test_a_kernel_that_the_correct_matrix_has_is_no_fault() -> None:
    softmax = small("softmax")
    dense = as_approximation(Subject("exact", lambda p: fisher(p).dense()), softmax.problem)
    rows = {row.measure: row for row in rows_of(softmax, "pre-activations", [dense])}
    assert rows["outputs"].verdict == "holds"
    assert (rows["parameters"].predicted, rows["parameters"].verdict) == ("not invariant", "not-claimed")


def test_an_estimate_has_a_kernel_of_its_own() -> None:
    drawn = Subject("drawn", lambda p, generator: monte_carlo_fisher(p, 1, generator).dense(), samples=1)
    assert as_approximation(drawn, MLP.problem).counterpart is None
    assert as_approximation(Subject("exact", lambda p: fisher(p).dense()), MLP.problem).counterpart is not None


def test_fewer_eigenvalues_are_no_excuse_where_rounding_does_not_explain_them() -> None:
    def clipped(problem: Problem) -> Tensor:
        values, vectors = torch.linalg.eigh(fisher(problem).dense())
        cut: Tensor = (vectors * torch.where(values > 1e-3 * values[-1], values, 0)) @ vectors.mT
        return cut

    rows = rows_of(MLP, "scaling", [as_approximation(Subject("clipped", clipped), MLP.problem)])
    outputs = next(row for row in rows if row.measure == "outputs")
    assert outputs.verdict == "violated"


def without_completion(problem: Problem) -> Tensor:
    """A quasi-diagonal with zeros between the weights of a unit, which stands for its completion."""
    matrix = quasi_diagonal(problem).dense()
    for name, places in parameter_index(problem).items():
        if name.endswith("weight"):
            for unit in places:
                matrix[unit[:, None], unit] = matrix[unit, unit].diag()
    return matrix


@pytest.mark.parametrize("family", ["unit-affine", "unit-scaling"])
def test_a_quasi_diagonal_stands_for_its_completion(family: str) -> None:
    subject = Subject("zeros", without_completion, structure="quasi-diagonal")
    rows = {row.measure: row for row in rows_of(MLP, family, [as_approximation(subject, MLP.problem)])}
    assert {rows[measure].verdict for measure in ("outputs", "parameters", "damped by T'T")} == {"holds"}


def test_the_same_matrix_inverted_as_it_is_depends_on_shifts() -> None:
    as_it_is = as_approximation(Subject("zeros", without_completion, structure="quasi-diagonal"), MLP.problem)
    rows = rows_of(MLP, "unit-affine", [replace(as_it_is, inverted=lambda matrix, _: matrix)])
    assert rows[0].verdict == "violated"


def at_the_optimum() -> Problem:
    """A softmax regression after Newton steps: the summands of its gradient cancel."""
    features, classes, samples = SMALL["softmax-reduced"]
    problem = spectrum_problem("softmax-reduced", *data(features, classes, samples), classes, torch.float64)
    for _ in range(12):
        problem = problem.at(problem.vector - torch.linalg.solve(hessian(problem).dense(), gradient(problem)))
    assert float(gradient(problem).norm()) < 1e-12
    return problem


@pytest.mark.parametrize("family", ["permutation", "scaling", "kronecker"])
def test_near_a_stationary_point_rounding_explains_the_step(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [CATALOGUE[name] for name in ("exact-fisher", "fisher-diagonal", "kfac-joint")]
    problem = at_the_optimum()
    assert not [row for row in rows_of(Origin(problem), family, chosen) if row.red]
    # without the summands the noise of the gradient is taken for a step
    monkeypatch.setattr(origins, "summands_of_gradient", lambda p: 0 * p.vector)
    assert [row for row in rows_of(Origin(problem), family, chosen) if row.red]


def test_what_coincides_with_a_standard_has_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, labels = data(5, 3, 40)
    centred = inputs - inputs.mean(0)  # no correlation of inputs and bias: separate blocks are joint ones
    origin = Origin(spectrum_problem("linear-gaussian", centred, labels, 3, torch.float64))
    (outputs, *_) = rows_of(origin, "joint-kronecker", [CATALOGUE["fisher-parameter-blocks"]])
    assert (outputs.predicted, outputs.verdict) == ("invariant", "holds")
    assert outputs.source.startswith("coincides here, in both coordinates, with: exact Fisher")
    (outputs, *_) = rows_of(small("linear-gaussian"), "joint-kronecker", [CATALOGUE["fisher-parameter-blocks"]])
    assert (outputs.predicted, outputs.verdict) == ("not invariant", "holds")
    monkeypatch.setattr("fishergauge.suites.spectrum.measurement.standards", list)
    (outputs, *_) = rows_of(origin, "joint-kronecker", [CATALOGUE["fisher-parameter-blocks"]])
    assert outputs.verdict == "unexpected"


def test_a_damped_inverse_that_returns_no_number_costs_its_own_row() -> None:
    subject = Subject("nan", lambda p: fisher(p).dense(), solve=lambda matrix, vector, damping: vector * float("nan"))
    rows = {row.measure: row for row in rows_of(MLP, "permutation", [as_approximation(subject, MLP.problem)])}
    assert rows["damped"].verdict == "error"
    assert "NaN or infinite" in rows["damped"].reason
    assert rows["outputs"].verdict == "holds"


@pytest.mark.skipif(bool(why_not_isolated()), reason="processes are not isolated here")
def test_a_subject_that_ends_its_process_is_the_only_suspect() -> None:
    def ends(problem: Problem) -> Tensor:
        os._exit(3)

    plan = Plan(("mlp",), ("small",), ("float64",), ("permutation",), (), ("gradient",), (Subject("ends", ends),))
    executor = Executor(plan, lambda *_: MLP.problem)
    rows = [row for cell in plan.cells() for row in executor.contained(cell)]
    assert {row.approximation for row in rows if row.verdict == "error"} == {"ends"}
    assert {row.verdict for row in rows if row.approximation == "gradient"} == {"holds"}


def test_a_zero_matrix_is_an_error_of_its_own() -> None:
    nothing = as_approximation(Subject("nothing", lambda p: 0 * fisher(p).dense()), MLP.problem)
    (row,) = rows_of(MLP, "permutation", [nothing])
    assert (row.verdict, row.reason) == ("error", "ProblemError: the matrix is zero, and has no step")


def test_two_of_one_name_are_two() -> None:
    def scaled(factor: float) -> Approximation:
        return Approximation("same", "", lambda problem, _: factor * fisher(problem).dense(), "all")

    first, second = scaled(1.0), scaled(2.0)
    steps = [MLP.stepped(one).solution.step for one in (first, second)]
    assert torch.allclose(steps[0], 2 * steps[1])
