from pathlib import Path
from typing import Any

import pytest
import torch

from fishergauge.reference.laplace import laplace
from fishergauge.reports.cell import Cell
from fishergauge.reports.gauss_newton import posterior_axes
from fishergauge.reports.gauss_newton.log_normal_regression import drawn_data, published_data
from fishergauge.reports.gauss_newton.over_parametrised_regression import GRID, bump_regression, bumps
from fishergauge.reports.gauss_newton.posterior import Posterior
from fishergauge.reports.gauss_newton.posterior_axes import axes_record
from fishergauge.reports.gauss_newton.posterior_claims import (
    ON_THE_DATA,
    axes_verdict,
    covariance_verdict,
    exactness_verdict,
    kernel_verdict,
)
from fishergauge.reports.gauss_newton.posterior_split import effective_parameters, kernel_projector, split_record
from fishergauge.reports.options import Options
from fishergauge.reports.reproduce import reproduce


def test_an_axis_contributes_what_theory_says_and_neither_is_the_kernel() -> None:
    record = axes_record(published_data())
    for row in record["rows"]:
        assert row["determined"] == pytest.approx(row["eigenvalue"] / (row["eigenvalue"] + 10.0), rel=1e-12)
        assert row["deviation"] == pytest.approx((row["eigenvalue"] + 10.0) ** -0.5, rel=1e-12)
    assert [row["axis"] for row in record["rows"]] == ["major axis", "minor axis"]
    assert record["rows"][0]["deviation"] > record["rows"][1]["deviation"]
    assert record["summary"]["kernel_dimension"] == 0
    assert record["summary"]["covariance_ratio"] == pytest.approx(1000.0, rel=1e-9)
    assert sum(row["share"] for row in record["rows"]) == pytest.approx(1.0)


def test_another_noise_is_seen_by_bayes_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn_data(0, samples=40)
    right = axes_record(data)["summary"]
    assert max(right["mean_deviation"], right["covariance_deviation"]) < 1e-12
    wrong = lambda problem, prior, observation_variance: laplace(problem, prior=prior, observation_variance=2.0)  # noqa: E731
    monkeypatch.setattr(posterior_axes, "laplace", wrong)
    assert axes_record(data)["summary"]["covariance_deviation"] > 0.1


def test_the_kernel_keeps_the_data_and_the_prior_and_the_image_moves_the_data() -> None:
    (row,) = split_record(8, 0)["rows"]
    assert row["kernel_dimension"] == 16
    assert row["kernel_moves_data"] <= row["kernel_moves_data_bound"] < 1e-11
    assert row["image_moves_data"] == pytest.approx(1.0)
    assert row["kernel_moves_elsewhere"] > 0.1
    assert row["kernel_variance_deviation"] <= row["kernel_variance_bound"]
    assert 0 < row["effective_parameters"] < 8


def test_with_more_data_than_parameters_there_is_no_kernel() -> None:
    (row,) = split_record(32, 0)["rows"]
    assert row["kernel_dimension"] == row["kernel_moves_data"] == row["kernel_share_of_parameters"] == 0


def test_a_projector_that_is_off_by_one_direction_moves_the_data() -> None:
    problem, inputs = bump_regression(8, 0)
    jacobian = bumps(inputs)
    kernel = kernel_projector(jacobian)
    torch.testing.assert_close(kernel @ kernel, kernel)
    assert float((jacobian @ kernel).norm()) < 1e-12
    assert float((jacobian @ kernel_projector(jacobian[:7])).norm()) > 1e-3
    posterior = laplace(problem, prior=2.0, observation_variance=0.5)
    values = torch.linalg.eigvalsh(2 * jacobian.mT @ jacobian)
    assert effective_parameters(posterior) == pytest.approx(float((values / (values + 2.0)).sum()), rel=1e-9)
    assert len(GRID) > 100


@pytest.mark.parametrize(
    ("dimension", "share", "verdict"), [(0, 0.49, "refuted"), (1, 0.0, "confirmed"), (1, 0.49, "refuted"), (0, 0.0, "refuted")]
)
def test_verdict_on_the_axes(dimension: int, share: float, verdict: str) -> None:
    assert axes_verdict(dimension, share) == verdict


def test_verdicts_on_covariance_and_exactness() -> None:
    assert (covariance_verdict(1000.0), covariance_verdict(1.0)) == ("refuted", "confirmed")
    assert (exactness_verdict(1e-14, 1e-12), exactness_verdict(1e-3, 1e-12)) == ("confirmed", "refuted")
    assert exactness_verdict(float("nan"), 1e-12) == "refuted"


def kernel_row(**changed: float) -> dict[str, Any]:
    row = {"kernel_dimension": 4, "kernel_moves_data": 1e-15, "kernel_moves_data_bound": 1e-13}
    row |= {"kernel_variance_deviation": 1e-15, "kernel_variance_bound": 1e-13, "kernel_moves_elsewhere": 0.5}
    return row | changed


def test_verdict_on_a_real_kernel() -> None:
    assert kernel_verdict([kernel_row()]) == ON_THE_DATA
    assert kernel_verdict([kernel_row(kernel_moves_elsewhere=0.0)]) == "confirmed"
    assert kernel_verdict([kernel_row(kernel_moves_data=1e-3)]) == "refuted"
    assert kernel_verdict([kernel_row(kernel_variance_deviation=1e-3)]) == "refuted"
    assert kernel_verdict([kernel_row(kernel_dimension=0)]) == "refuted"
    assert kernel_verdict([]) == "refuted"


def test_the_experiment_end_to_end(tmp_path: Path) -> None:
    outcome = reproduce(Options(("posterior",), quick=True, out=tmp_path), {"posterior": Posterior()}, "", lambda line: None)
    assert outcome.failures == []
    names = {path.name for path in (tmp_path / "posterior").iterdir()}
    assert {f"posterior_{part}" for part in ("results.csv", "summary.json", "figure.png", "figure.pdf")} <= names
    text = (tmp_path / "claims.md").read_text()
    assert [text.count(f"## POSTERIOR.{number} on") for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_results_that_lack_a_study_lose_only_its_claims() -> None:
    experiment = Posterior()
    split = Cell("posterior", "corrected", "posterior", 0, (("study", "split"),))
    entries = experiment.entries("posterior", [(split, split_record(8, 0))])
    assert [(entry.id, entry.data) for entry in entries] == [("POSTERIOR.4", "bumps")]
