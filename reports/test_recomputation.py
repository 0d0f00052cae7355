import math

import pytest
import torch

from fishergauge.reference import Problem, fisher, gradient
from fishergauge.reports.e4_measurements import corrected_record, cutoff_record, published_record, status
from fishergauge.reports.initial_parameters import initial_parameters
from fishergauge.reports.recomputation import logits_bound, recomputed_step, rounding_bound
from fishergauge.reports.reparametrisation import FAMILIES, Reparametrisation, reparametrisation
from fishergauge.reports.small_data import small_data

INVARIANT = ("exact", "kfac", "empirical")


def deviation(method: str, coordinates: Reparametrisation) -> tuple[float, float]:
    data = small_data()
    weight = initial_parameters(0, 6, 3)
    reference = recomputed_step(method, data, weight, reparametrisation("scaling", 1.0, 6))
    step = recomputed_step(method, data, weight, coordinates)
    return float((step.change - reference.change).norm() / reference.change.norm()), rounding_bound(step, reference)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kappa", [1.0, 30.0, 1e3, 1e5])
def test_maps_have_the_condition_number_and_inverse_asked_for(family: str, kappa: float) -> None:
    coordinates = reparametrisation(family, kappa, 6)
    assert float(torch.linalg.cond(coordinates.forward)) == pytest.approx(kappa, rel=1e-6)
    torch.testing.assert_close(
        coordinates.forward @ coordinates.inverse, torch.eye(6, dtype=torch.float64), atol=1e-15 * kappa * 6, rtol=0
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", INVARIANT)
@pytest.mark.parametrize("kappa", [10.0, 1e3, 1e5])
def test_invariant_methods_keep_the_bound(family: str, method: str, kappa: float) -> None:
    measured, bound = deviation(method, reparametrisation(family, kappa, 6))
    assert 0 < measured <= bound < 0.1


def test_the_controls_exceed_the_bound() -> None:
    for family in FAMILIES:
        measured, bound = deviation("sgd", reparametrisation(family, 10.0, 6))
        assert measured > 1e6 * bound
    measured, bound = deviation("diagonal", reparametrisation("rotated", 10.0, 6))
    assert measured > 1e6 * bound
    measured, bound = deviation("diagonal", reparametrisation("scaling", 10.0, 6))
    assert measured <= bound


def test_a_planted_wrong_map_is_noticed() -> None:
    right = reparametrisation("rotated", 10.0, 6)
    slightly = right.forward.clone()
    slightly[0, 0] *= 1 + 1e-8
    measured, bound = deviation("exact", Reparametrisation("rotated", 10.0, slightly, right.inverse))
    assert measured > bound


def test_the_step_is_that_of_the_generic_route() -> None:
    data, weight = small_data(), initial_parameters(0, 6, 3)
    model = torch.nn.Linear(6, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(weight)
    problem = Problem(model, torch.nn.CrossEntropyLoss(), [(data.inputs, data.targets)])
    expected = -(torch.linalg.pinv(fisher(problem).dense(), hermitian=True, rtol=1e-12) @ gradient(problem).detach())
    step = recomputed_step("exact", data, weight, reparametrisation("scaling", 1.0, 6))
    torch.testing.assert_close(step.raw.reshape(-1), expected)
    assert step.rank == 2 * 6


@pytest.mark.parametrize(
    ("deviation", "rank", "expected"),
    [
        (0.5, 7, "holds"),
        (1.5, 7, "violated"),
        (math.nan, 7, "violated"),
        (0.5, 6, "beyond float64"),
        (1.5, 6, "beyond float64"),
    ],
)
def test_status(deviation: float, rank: int, expected: str) -> None:
    assert status(deviation, 1.0, rank, 7) == expected


def test_a_condition_number_beyond_float64_is_reported_as_such() -> None:
    rows = corrected_record(small_data(), 0, (1.0, 1e3, 1e9))["rows"]
    found = {(row["method"], row["kappa"]): row["status"] for row in rows if row["family"] == "scaling"}
    assert found["exact", 1e3] == "holds"
    assert found["exact", 1e9] == "beyond float64"
    assert found["sgd", 1e9] == "violated"


def test_a_rank_deficient_empirical_fisher_is_not_invariant() -> None:
    rows = corrected_record(small_data(samples=9), 0, (1.0, 10.0))["rows"]
    for row in rows:
        if row["method"] == "empirical":
            assert row["reference_rank"] == 9 < row["full_rank"] == 12
            assert row["status"] == "violated"
        if row["method"] == "exact":
            assert row["status"] == "holds"


def test_the_papers_cutoff_breaks_where_the_condition_number_exceeds_it() -> None:
    rows = {(row["cutoff"], row["kappa"]): row for row in cutoff_record(small_data(), 0, (1e2, 1e5))["rows"]}
    assert rows["paper", 1e2]["relative"] < 1e-9
    assert rows["paper", 1e5]["relative"] > 1e-2
    assert rows["paper", 1e5]["rank"] < rows["paper", 1e5]["reference_rank"]
    assert rows["P eps", 1e5]["relative"] < 1e-4


def test_gates_pass_and_their_planted_errors_do_not() -> None:
    record = published_record(small_data(), 0, (1.0, 10.0))
    assert len(record["gate_a"]) == 6
    assert all(row["passed"] and not row["planted_passed"] for row in record["gate_a"])
    for row in record["gate_c"]:
        assert row["published_deviation"] == 0
        assert row["corrected_passed"]
        assert not row["planted_passed"]


def test_the_bound_of_the_logits_is_kept() -> None:
    data, weight = small_data(), initial_parameters(0, 6, 3)
    for family in FAMILIES:
        coordinates = reparametrisation(family, 1e4, 6)
        logits = coordinates.features(data.inputs) @ coordinates.weight(weight).T
        measured = float((logits - data.inputs @ weight.T).abs().max())
        assert 0 < measured <= logits_bound(weight, data.inputs, 1e4) < 1e-8


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="no family 'shear'"):
        reparametrisation("shear", 2.0, 3)
    with pytest.raises(ValueError, match="at least 1"):
        reparametrisation("scaling", 0.5, 3)
    with pytest.raises(ValueError, match="no method 'adam'"):
        recomputed_step("adam", small_data(), initial_parameters(0, 6, 3), reparametrisation("scaling", 2.0, 6))
