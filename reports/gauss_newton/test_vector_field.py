import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.gauss_newton import vector_field_identities as identities
from fishergauge.reports.gauss_newton.linear_descent import linear_descent
from fishergauge.reports.gauss_newton.log_normal_regression import STARTS, TRUTH, drawn_data, published_data
from fishergauge.reports.gauss_newton.regression_moments import moments_of, population_moments
from fishergauge.reports.gauss_newton.vector_field import VectorField
from fishergauge.reports.gauss_newton.vector_field_claims import (
    ggn_verdict,
    reason_verdict,
    representation_verdict,
    straight_verdict,
    vector_field_entries,
)
from fishergauge.reports.gauss_newton.vector_field_measurements import (
    draws_record,
    field_table,
    published_record,
    samples_record,
    split_terms,
)
from fishergauge.reports.gauss_newton.vector_field_paths import PRECISION
from fishergauge.reports.gauss_newton.vector_field_tables import Found, distances_by_count, found_in, quantile
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import relative_deviation
from fishergauge.suites.power_law import power_law_exponent

PRIOR_CONDITION = "confirmed only if the precision of the prior is in the matrix where it is in the gradient"


@pytest.fixture(scope="module")
def results() -> list[tuple[Cell, Record]]:
    records = (published_record(0.05, "cpu"), draws_record(2, "cpu"), samples_record((100, 1000, 30_000), 5, "cpu"))
    return list(zip(VectorField().cells(Options(quick=True)), records, strict=True))


def verdicts(found: Found) -> list[str]:
    return [entry.verdict.partition(" only if")[0] for entry in vector_field_entries("vector-field", found)]


def test_straight_verdict() -> None:
    assert straight_verdict(True, True, True) == "confirmed"
    assert straight_verdict(True, True, False) == PRIOR_CONDITION
    assert straight_verdict(False, True, True) == straight_verdict(True, False, True) == "refuted"


def test_ggn_verdict() -> None:
    good, bad = {"distance": 1e-15, "bound": 1e-13}, {"distance": 0.1, "bound": 1e-13}
    assert ggn_verdict([good], [bad]) == "confirmed"
    assert ggn_verdict([good, bad], [bad]) == ggn_verdict([good], [good]) == ggn_verdict([], [bad]) == "refuted"


def test_representation_verdict() -> None:
    assert representation_verdict(39, 0.2) == "confirmed"
    assert representation_verdict(39, 0.004).startswith("confirmed only if the parameters are away")
    assert representation_verdict(0.1, 0.004) == "refuted"


def test_reason_verdict() -> None:
    assert reason_verdict(True, True, 0.5) == "confirmed"
    assert reason_verdict(True, True, 0.001).startswith("confirmed only if the terms do not cancel")
    assert reason_verdict(False, True, 0.5) == reason_verdict(True, False, 0.5) == "refuted"


def test_the_entries_follow_from_measured_records_and_flip_with_them(results: list[tuple[Cell, Record]]) -> None:
    found = found_in(results)
    entries = vector_field_entries("vector-field", found)
    assert [entry.id for entry in entries] == [f"VECTOR-FIELD.{number}" for number in range(1, 5)]
    assert entries[0].verdict == PRIOR_CONDITION
    assert verdicts(found) == ["confirmed", "confirmed", "confirmed", "confirmed"]
    assert entries[1].verdict == "confirmed"

    def changed(record: str, table: str, column: str, value: float, **where: Any) -> list[str]:
        altered = copy.deepcopy(found)
        for row in getattr(altered, record)[table]:
            if all(row[name] == wanted for name, wanted in where.items()):
                row[column] = value
        return verdicts(altered)

    assert changed("published", "rows", "bow", 1e-5, method="ggn", start=2)[0] == "refuted"
    assert changed("drawn", "rows", "arc_over_chord", 1e-5, method="ggn", reading="likelihood")[0] == "refuted"
    assert changed("published", "rows", "bow", 0.0, method="gradient")[0] == "refuted"
    assert changed("published", "ggn", "distance", 1e-8, model="linear, logistic")[1] == "refuted"
    assert changed("published", "field", "distance", 0.1)[2] == "refuted"
    assert changed("published", "split", "sum_against_hessian", 1e-6)[3] == "refuted"
    assert changed("published", "split", "share_not_zero", 0.9, place="truth")[3] == "refuted"
    straight = copy.deepcopy(found)
    for row in straight.drawn["rows"]:
        row["bow"], row["arc_over_chord"] = 0.0, 0.0
    assert vector_field_entries("vector-field", straight)[0].verdict == "confirmed"
    for row in straight.sampled["rows"]:
        row["distance"], row["norm_of_mean"] = 0.4, row["mean_of_norms"]
    assert [entry.verdict for entry in vector_field_entries("vector-field", straight)] == ["confirmed"] * 4


def test_the_published_figure_is_met(results: list[tuple[Cell, Record]]) -> None:
    published = found_in(results).published
    assert published["optimum"] == pytest.approx([2.0445, 1.8701], abs=1e-4)  # the star of the figure
    turns = {}
    for path in published["paths"]:
        if path["method"] == "empirical":
            turns[tuple(path["points"][0])] = path["points"]
    assert min(slope for slope, _ in turns[0.0, 1.0]) == pytest.approx(-0.3, abs=0.1)  # read off the figure
    assert max(intercept for _, intercept in turns[0.0, 1.0]) == pytest.approx(4.2, abs=0.1)
    assert min(intercept for _, intercept in turns[4.5, 2.0]) == pytest.approx(-0.85, abs=0.1)


def test_a_prior_in_the_gradient_alone_bends_the_path(results: list[tuple[Cell, Record]]) -> None:
    rows = [row for row in found_in(results).drawn_paths if row["method"] == "ggn"]
    assert all(row["bow"] <= row["bound"] for row in rows if row["reading"] != "mixed")
    assert max(row["bow"] for row in rows if row["reading"] == "mixed") > 1e-3


def test_the_field_of_the_ggn_points_at_the_optimum_and_others_do_not() -> None:
    moments = moments_of(published_data(), PRECISION)
    rows = field_table(moments, torch.tensor([[4.5, 2.0], [0.0, 1.0]], dtype=torch.float64))
    for row in rows:
        assert row["ggn_angle"] < 1e-10
        assert row["ggn_slope"] == pytest.approx(float(moments.optimum[0]) - row["slope"])
        assert min(row["gradient_angle"], row["empirical_angle"]) > 1
        assert row["gradient_angle"] < 90  # downhill in a convex function
        assert row["scaled_distance"] < 1 < row["distance"]  # a sine, and the factor is far off
    inputs, targets = published_data()
    residuals = targets - rows[0]["slope"] * inputs - rows[0]["intercept"]
    assert rows[0]["loss"] == pytest.approx(float(residuals.square().mean()) / 2)


def test_what_the_empirical_fisher_leaves_out_is_noticed_if_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn_data(2, 50)
    optimum = moments_of(data).optimum
    assert all(row["sum_against_hessian"] <= row["bound"] for row in identities.split_rows(data, optimum))
    monkeypatch.setattr(identities, "_density", lambda theta, x, y: torch.exp(-((y - theta[0] * x - theta[1]) ** 2) / 3))
    wrong = identities.split_rows(data, optimum)
    assert all(row["sum_against_hessian"] > row["bound"] < row["product_against_empirical"] for row in wrong)


def test_the_share_of_vanishing_terms_is_counted() -> None:
    point = torch.tensor([1.0, 0.0], dtype=torch.float64)
    inputs = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    factors = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)  # residuals; 1 - r^2 vanishes for the second
    found = split_terms((inputs, inputs + factors), point)
    assert found["least_norm"] == 0
    assert found["mean_of_norms"] == pytest.approx((1 * 2 + 0 * 5 + 3 * 10) / 3)
    mean = (torch.tensor([[1.0, 1.0], [1.0, 1.0]]) - 3 * torch.tensor([[9.0, 3.0], [3.0, 1.0]])) / 3
    assert found["norm_of_mean"] == pytest.approx(float(mean.norm()))


def test_a_natural_gradient_step_of_length_one_arrives(results: list[tuple[Cell, Record]]) -> None:
    counts: dict[str, Sequence[int]] = {}
    for row in found_in(results).drawn["whole"]:
        counts[row["method"]] = [*counts.get(row["method"], []), row["steps"]]
    assert counts["ggn"] == [1, 1, 1, 1]
    assert min(counts["empirical"]) > 10
    moments, starts = moments_of(drawn_data(0), PRECISION), torch.tensor(STARTS, dtype=torch.float64)
    most = [
        int(
            linear_descent(torch.eye(2).double(), moments.posterior_hessian, length)
            .steps_to(starts - moments.optimum, 1e-6)
            .max()
        )
        for length in (factor * 2 / float(moments.posterior_hessian.trace()) for factor in (0.8, 1.0, 1.05))
    ]
    assert max(counts["gradient"]) == most[1] < min(most[0], most[2])  # the best constant length


def test_radii_are_those_at_which_the_empirical_fisher_is_off_by_100_percent(results: list[tuple[Cell, Record]]) -> None:
    moments = population_moments()
    angles = torch.linspace(0, 2 * torch.pi, 361, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], 1)

    def distances(radius: float) -> list[float]:
        matrices = moments.empirical_fisher(torch.tensor(TRUTH, dtype=torch.float64) + radius * circle)
        return [relative_deviation(matrix, moments.hessian) for matrix in matrices]

    least, largest = (value for what, value in found_in(results).population.items() if what.startswith("radius"))
    assert max(distances(least)) == pytest.approx(1, abs=1e-6)
    assert min(distances(largest)) == pytest.approx(1, abs=1e-6)


def test_medians_quantiles_and_slopes() -> None:
    rows = [{"samples": n, "place": "truth", "distance": d / n**0.5} for n in (100, 10_000) for d in (1.0, 2.0, 30.0)]
    assert distances_by_count(rows, "truth") == pytest.approx({100: 0.2, 10_000: 0.02})
    assert power_law_exponent(*zip(*distances_by_count(rows, "truth").items(), strict=True)) == pytest.approx(-0.5)
    assert [quantile([3.0, 1.0, 2.0, 4.0], share) for share in (0.0, 0.5, 0.75, 1.0)] == [1, 2, 3, 4]


def test_artefacts(results: list[tuple[Cell, Record]], tmp_path: Path) -> None:
    paths = VectorField().artefacts("vector-field", results, tmp_path)
    names = ("results.csv", "grid.csv", "samples.csv", "summary.json", "figure.png", "figure.pdf", "figure.svg")
    assert [path.name for path in paths] == [f"vector_field_{name}" for name in names]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_what_is_missing_is_left_out(results: list[tuple[Cell, Record]], tmp_path: Path) -> None:
    assert VectorField().entries("vector-field", results[:2]) == []
    assert len(VectorField().artefacts("vector-field", results[:1], tmp_path)) == 4


def test_cells_follow_the_options() -> None:
    full, quick = VectorField().cells(Options()), VectorField().cells(Options(quick=True))
    assert [dict(cell.settings).get("draws") for cell in full] == [None, 20, 10]
    assert [dict(cell.settings).get("draws") for cell in quick] == [None, 3, 5]
    assert [dict(cell.settings).get("draws") for cell in VectorField().cells(Options(seeds=7))] == [None, 7, 7]
    assert {cell.data for cell in full} == {"vector-field"}
    small = Cell("vector-field", "corrected", "vector-field", 0, (("study", "samples"), ("draws", 1), ("counts", "10,20")))
    assert [row["samples"] for row in VectorField().run(small, "cpu")["rows"]] == [10, 10, 20, 20]
