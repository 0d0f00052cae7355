"""The claims about Laplace posteriors fail where curvature, scale or prior is wrong, and hold where they must."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.case import Case
from fishergauge.suites.claim import Finding, NotHere
from fishergauge.suites.claims import CLAIMS, laplace
from fishergauge.suites.claims.invariance import OtherCoordinates
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.matrix import densified
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.subject import Structure, Subject
from fishergauge.suites.zoo import catalogue_problem

RIGHT = correct_subjects()
QUANTITIES = QuantityCache()
LAYER, HIDDEN = "linear-regression", "mlp-softmax-wide-data"
PROBLEMS = {name: catalogue_problem(name) for name in (LAYER, HIDDEN, "mlp-tanh-gaussian", "softmax-regression")}


def measured(claim: str, subject: Subject, problem: str) -> Finding:
    return CLAIMS[claim].measure(Case(subject, PROBLEMS[problem], QUANTITIES))


def times(factor: float, name: str) -> Subject:
    """A correct subject with its matrix multiplied."""
    right = RIGHT[name]
    build = lambda problem: factor * densified(right.build(problem), problem)  # noqa: E731
    return replace(right, name="times", build=build, solve=None)


def damped(name: str) -> Subject:
    """A correct subject with a prior left in its matrix, which is then not mapped."""
    right = RIGHT[name]

    def build(problem: Problem) -> Tensor:
        matrix = densified(right.build(problem), problem)
        return matrix + 1e-3 * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype)

    return replace(right, name="damped", build=build, solve=None)


def sold_as(name: str, structure: Structure, bias: str) -> Subject:
    """A correct subject that declares to be something else."""
    return replace(RIGHT[name], name="sold", structure=structure, bias=bias, solve=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["exact-fisher", "exact-ggn", "ggn-operator"])
def test_the_posterior_of_a_linear_gaussian_model_is_exact(name: str) -> None:
    finding = measured("T20", RIGHT[name], LAYER)
    assert finding.holds
    assert finding.bound < 1e-8


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.0001])
def test_a_factor_is_seen_in_the_posterior(factor: float) -> None:
    assert measured("T20", times(factor, "exact-ggn"), LAYER).measured > 1e4 * measured("T20", RIGHT["exact-ggn"], LAYER).bound
    finding = measured("T20-layer", times(factor, "kfac-joint"), LAYER)
    assert finding.measured > 1e4 * finding.bound


@pytest.mark.parametrize("name", ["kfac-joint", "kfac-ggn", "ekfac-joint"])
def test_kronecker_factors_of_one_linear_layer_give_the_exact_posterior(name: str) -> None:
    assert measured("T20-layer", RIGHT[name], LAYER).holds


def test_of_a_separate_bias_or_a_network_nothing_is_claimed() -> None:
    assert not CLAIMS["T20-layer"].made_by(RIGHT["kfac-separate"])
    with pytest.raises(NotHere, match="separate bias"):
        measured("T20-layer", replace(RIGHT["kfac-separate"], bias=None), LAYER)
    with pytest.raises(NotHere, match="not one linear layer"):
        measured("T20-layer", RIGHT["kfac-joint"], "mlp-tanh-gaussian")
    finding = measured("T20-layer", sold_as("kfac-separate", "kronecker", "joint"), LAYER)
    assert finding.measured > 1e4 * finding.bound


@pytest.mark.parametrize(
    "name", ["exact-fisher", "fisher-layer-blocks", "fisher-parameter-blocks", "kfac-joint", "kfac-separate"]
)
@pytest.mark.parametrize("problem", [HIDDEN, "mlp-tanh-gaussian", "softmax-regression"])
def test_linearised_predictions_do_not_depend_on_the_coordinates_if_the_prior_is_mapped(name: str, problem: str) -> None:
    finding = measured("T20-coordinates", RIGHT[name], problem)
    assert finding.holds
    assert finding.bound < 1e-6


@pytest.mark.parametrize(
    "subject",
    [
        damped("exact-fisher"),
        damped("kfac-joint"),
        sold_as("kfac-separate", "kronecker", "joint"),
        sold_as("fisher-diagonal", "block-diagonal", "joint"),
        sold_as("ekfac-joint", "kronecker", "joint"),
    ],
    ids=["damped Fisher", "damped K-FAC", "separate bias", "diagonal", "EKFAC"],
)
def test_what_is_no_invariant_curvature_changes_the_predictions(subject: Subject) -> None:
    finding = measured("T20-coordinates", subject, HIDDEN)
    assert finding.measured > 1e4 * finding.bound
    assert "coordinates, with the prior mapped, output" in finding.witness


def test_a_prior_that_is_not_mapped_changes_the_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    right = laplace._predictive
    calls: list[float] = []

    def not_mapped(case: Case, problem: Problem, prior: Tensor) -> tuple[Tensor, float]:
        """The second prior, which is the mapped one, stays as it was; the third is bent instead."""
        calls.append(float(prior[0, 0]))
        kept = {2: calls[0], 3: 2 * calls[0]}.get(len(calls))
        return right(case, problem, prior if kept is None else kept * torch.eye(len(prior), dtype=prior.dtype))

    monkeypatch.setattr(laplace, "_predictive", not_mapped)
    finding = measured("T20-coordinates", RIGHT["exact-fisher"], "softmax-regression")
    assert finding.measured > 1e4 * finding.bound


def test_where_the_prior_makes_no_difference_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = PROBLEMS["softmax-regression"]
    same = OtherCoordinates("identity", problem, 1.0, torch.eye(problem.num_parameters, dtype=torch.float64))
    monkeypatch.setattr(laplace, "in_coordinates", lambda *_: same)
    with pytest.raises(NotHere, match="does not matter"):
        measured("T20-coordinates", RIGHT["exact-fisher"], "softmax-regression")
