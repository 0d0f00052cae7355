import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fishergauge.reference import ProblemError, UnsupportedError
from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.gauss_newton import jacobian_measurements as measurements
from fishergauge.reports.gauss_newton.jacobian import Jacobian
from fishergauge.reports.gauss_newton.jacobian_claims import (
    AT_PARAMETERS,
    fastest_verdict,
    jacobian_entries,
    loop_verdict,
    times_verdict,
)
from fishergauge.reports.gauss_newton.jacobian_routes import ROUTES, WIDTHS, model_and_inputs
from fishergauge.reports.gauss_newton.jacobian_tables import PUBLISHED, growth, ratios, rows_of, summary_of, times
from fishergauge.reports.gauss_newton.layer_jacobian import layer_jacobian
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.seeding import generator


def differences(model: nn.Module, inputs: Tensor) -> Tensor:
    """Central differences of every output in every parameter: shares nothing with the routes."""
    columns = []
    for parameter in model.parameters():
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            sides = []
            for sign in (1, -1):
                flat[i] += sign * 1e-6
                sides.append(model(inputs).detach())
                flat[i] -= sign * 1e-6
            columns.append((sides[0] - sides[1]) / 2e-6)
    return torch.stack(columns, -1)


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_gives_the_derivatives(name: str, route: str) -> None:
    model, inputs = model_and_inputs(name, 7, torch.float64, "cpu")
    expected = differences(model, inputs)
    actual = ROUTES[route](model, inputs).detach()
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) < 1e-8  # step squared, and rounding over the step
    assert_apart(actual.flip(-1), expected, "parameters in another order")
    if name == "network":
        assert_apart(actual.flip(1), expected, "outputs in another order")


def test_models_are_those_asked_for() -> None:
    before = torch.get_rng_state()
    model, inputs = model_and_inputs("network", 5, torch.float32, "cpu")
    assert torch.equal(before, torch.get_rng_state())
    assert [tuple(parameter.shape) for parameter in model.parameters()] == [(8, 4), (8,), (2, 8), (2,)]
    assert inputs.dtype == next(model.parameters()).dtype == torch.float32
    line, inputs = model_and_inputs("line", 1000, torch.float64, "cpu")
    assert [tuple(parameter.shape) for parameter in line.parameters()] == [(1, 1), (1,)]
    assert float(inputs.min()) > 0
    assert abs(float(inputs.log().std()) / 0.75 - 1) < 4.9 / 2000**0.5  # level 1e-6


def deep(bias: bool) -> nn.Sequential:
    draws = generator("deep", bias)
    model = nn.Sequential(
        nn.Linear(3, 4, bias=bias), nn.Tanh(), nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2, bias=bias)
    ).double()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draws, dtype=torch.float64)
    return model


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu_(self.first(inputs))
        outputs: Tensor = self.second(hidden)
        return outputs.mul_(3)


def test_layers_may_be_followed_by_operations_in_place() -> None:
    model, inputs = InPlace().double(), torch.randn(6, 3, generator=generator("inputs"), dtype=torch.float64)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator(parameter.shape), dtype=torch.float64)
    assert_close(layer_jacobian(model, inputs), differences(model, inputs), "by layers", condition=1e6)


@pytest.mark.parametrize("bias", [True, False])
def test_the_jacobian_by_layers_of_deeper_networks(bias: bool) -> None:
    model, inputs = deep(bias), torch.randn(6, 3, generator=generator("inputs"), dtype=torch.float64)
    assert_close(layer_jacobian(model, inputs), ROUTES["torch.func by sample"](model, inputs), "by layers", size=100)


def test_the_jacobian_by_layers_takes_one_backward_pass_an_output(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    right = torch.autograd.grad

    def counted(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        passes.append(1)
        gradients: tuple[Tensor, ...] = right(*args, **kwargs)
        return gradients

    monkeypatch.setattr(torch.autograd, "grad", counted)
    model, inputs = model_and_inputs("network", 50, torch.float64, "cpu")
    ROUTES["layers"](model, inputs)
    assert len(passes) == 2
    ROUTES["torch loop"](model, inputs)
    assert len(passes) == 2 + 2 * 50


def test_the_jacobian_by_layers_leaves_the_model_as_it_was() -> None:
    model, inputs = model_and_inputs("network", 5, torch.float64, "cpu")
    with torch.no_grad():
        layer_jacobian(model, inputs)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    broken = nn.Sequential(model, nn.Unflatten(1, (3,)))
    with pytest.raises(RuntimeError):
        layer_jacobian(broken, inputs)
    assert not any(module._forward_hooks for module in broken.modules())


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(self.layer(inputs))
        return outputs


class Around(Twice):
    def forward(self, inputs: Tensor) -> Tensor:
        return functional.linear(inputs, self.layer.weight)


def frozen() -> nn.Module:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    return model


def test_models_beyond_the_jacobian_by_layers_are_refused() -> None:
    for other in (nn.Sequential(nn.Linear(2, 2), nn.PReLU()), nn.Conv1d(2, 2, 1), frozen()):
        with pytest.raises(UnsupportedError, match="output_jacobian"):
            layer_jacobian(other, torch.ones(3, 2))
    for used in (Twice(), Around()):
        with pytest.raises(ProblemError, match="exactly once"):
            layer_jacobian(used, torch.ones(3, 2))
    with pytest.raises(ProblemError, match="flatten"):
        layer_jacobian(nn.Linear(2, 2), torch.ones(3, 4, 2))


@pytest.mark.parametrize("factor", [2.0, 1 + 1e-3])
def test_a_wrong_route_is_not_timed(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    timed: list[int] = []

    def seconds(*_: object) -> float:
        timed.append(1)
        return 1.0

    monkeypatch.setattr(measurements, "seconds", seconds)
    wrong = {**ROUTES, "layers": lambda model, inputs: factor * layer_jacobian(model, inputs)}
    with pytest.raises(ClaimViolated, match="route layers"):
        measurements.times_record("line", 20, 1, "cpu", wrong)
    assert not timed
    measurements.times_record("line", 20, 1, "cpu")
    assert timed


def test_j_transposed_j_is_the_ggn() -> None:
    model, inputs = model_and_inputs("line", 30, torch.float64, "cpu")
    features = torch.cat([inputs, torch.ones_like(inputs)], 1)
    for name, route in ROUTES.items():
        ours = measurements._ggn_call(name, route, model, inputs)()
        assert_close(ours.detach(), features.T @ features / 30, f"J'J / N by {name}", size=30)
        assert_apart(ours.detach(), features.T @ features, "not divided")


def test_a_time_is_that_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 0.0}

    def slow(model: nn.Module, inputs: Tensor) -> Tensor:
        clock["now"] += 1e-4
        return ROUTES["analytic"](model, inputs)

    def elapsed(function: object, device: str) -> float:
        start = clock["now"]
        function()  # type: ignore[operator]
        return clock["now"] - start + 1e-9

    monkeypatch.setattr(measurements, "seconds", elapsed)
    (row,) = measurements.times_record("line", 20, 3, "cpu", {"analytic": slow})["rows"]
    assert row["calls"] == 30
    assert row["stretches"] == 3
    assert row["seconds"] == pytest.approx(1e-4, rel=1e-3)


def test_times_verdict() -> None:
    assert times_verdict(PUBLISHED) == times_verdict({route: 100 * value for route, value in PUBLISHED.items()}) == "confirmed"
    assert times_verdict({**PUBLISHED, "torch.func": 9 * PUBLISHED["torch.func"]}) == "confirmed"
    assert times_verdict({**PUBLISHED, "torch loop": 11 * PUBLISHED["torch loop"]}).startswith("confirmed only if the order")
    assert times_verdict({**PUBLISHED, "torch loop": 1e-3}) == times_verdict({**PUBLISHED, "analytic": 1e-2}) == "refuted"


def test_fastest_verdict() -> None:
    table = {**PUBLISHED, "layers": 1e-4}
    assert fastest_verdict([table], [table]) == "confirmed"
    close = {**table, "layers": 7e-6}  # faster, but not clearly
    assert fastest_verdict([close], [close]) == "confirmed"
    quick = {**table, "layers": 6e-6}
    assert fastest_verdict([table, quick], [table, quick]) == "confirmed only if it is compared with the published routes alone"
    assert fastest_verdict([quick], [{**quick, "analytic": 7e-6}]) == "confirmed"  # within what the analytic route can do
    wrong = {**table, "torch.func": 1e-6}
    assert fastest_verdict([wrong], [wrong]) == "refuted"


def test_loop_verdict() -> None:
    assert loop_verdict(1e-16, 1e-16) == AT_PARAMETERS
    assert loop_verdict(1e-16, 1e-8) == "confirmed"
    assert loop_verdict(1e-8, 1e-16) == "refuted"


@pytest.mark.parametrize("name", WIDTHS)
def test_one_backward_pass_leaves_the_sum_of_the_rows_at_the_parameters(name: str) -> None:
    assert measurements.accumulation(name, 30, "cpu", ROUTES["layers"]) < 1e-13
    assert measurements.accumulation(name, 30, "cpu", lambda model, inputs: 2 * layer_jacobian(model, inputs)) > 0.1


def test_ratios_and_growth() -> None:
    assert ratios(PUBLISHED) == pytest.approx({"analytic": 1, "torch loop": 7439, "torch.func": 256.1}, rel=1e-3)
    rows = [
        {"model": "line", "samples": n, "route": "torch.func", "quantity": quantity, "seconds": n**power, "least_seconds": 0}
        for quantity, power in (("jacobian", 2), ("ggn", 3))
        for n in (10, 1000, 100)
    ]
    assert growth(rows, "line", "torch.func") == pytest.approx(2)
    overhead = [{**row, "seconds": 1000} if row["samples"] == 10 else row for row in rows]  # it counts for the smallest alone
    assert growth(overhead, "line", "torch.func") == pytest.approx(2)
    assert growth(rows[:1], "line", "torch.func") != growth(rows[:1], "line", "torch.func")  # NaN
    assert times(rows, "line", 10) == {"torch.func": 100}
    assert times(rows, "line", 10, "ggn") == {"torch.func": 1000}
    assert times(rows, "line", 10, column="least_seconds") == {"torch.func": 0}


@pytest.fixture(scope="module")
def results() -> list[tuple[Cell, Record]]:
    cells = Jacobian().cells(Options(quick=True))
    assert {cell.protocol for cell in cells} == {"timed"}
    published, other = (
        cells[1],
        Cell("jacobian", "timed", "jacobian", 0, (("model", "network"), ("samples", 20), ("repetitions", 2))),
    )
    short = Cell("jacobian", "timed", "jacobian", 0, (("model", "line"), ("samples", 20), ("repetitions", 2)))
    return [(cell, Jacobian().run(cell, "cpu")) for cell in (short, published, other)]


def test_the_entries_follow_from_measured_records_and_flip_with_them(results: list[tuple[Cell, Record]]) -> None:
    fixed = copy.deepcopy(results)
    seconds = {**PUBLISHED, "torch.func by sample": 1e-3, "reference": 5e-3, "layers": 1e-4}
    for row in rows_of(fixed):  # results are asserted on, never times
        row["seconds"] = row["least_seconds"] = seconds[row["route"]]

    def verdicts(records: list[tuple[Cell, Record]]) -> list[str]:
        return [entry.verdict for entry in jacobian_entries("jacobian", records)]

    assert verdicts(fixed) == ["confirmed", "confirmed", AT_PARAMETERS]
    for column, value, changed in (("least_seconds", 1e-2, 1), ("seconds", 1.0, 0), ("deviation", 1e-3, 2)):
        altered = copy.deepcopy(fixed)
        for row in rows_of(altered):
            if row["route"] == ("layers" if column == "deviation" else "analytic"):
                row[column] = value
        flipped = [ours != theirs for ours, theirs in zip(verdicts(altered), verdicts(fixed), strict=True)]
        assert flipped == [i == changed for i in range(3)]
    assert [entry.id for entry in jacobian_entries("jacobian", results)] == ["JACOBIAN.1", "JACOBIAN.2", "JACOBIAN.3"]
    assert jacobian_entries("jacobian", results[:1]) == []


def test_records_say_what_was_timed(results: list[tuple[Cell, Record]]) -> None:
    rows = rows_of(results)
    assert {row["quantity"] for row in rows if row["samples"] == 1000} == {"jacobian", "ggn"}
    assert {row["quantity"] for row in rows if row["samples"] != 1000} == {"jacobian"}
    assert {row["route"] for row in rows} == set(ROUTES)
    assert all(0 < row["least_seconds"] <= row["seconds"] for row in rows)
    assert all(row["deviation"] < 1e-13 for row in rows)
    assert summary_of(rows)["line, 1000 samples, ggn"]["ratios"]["analytic"] == 1


def test_artefacts(results: list[tuple[Cell, Record]], tmp_path: Path) -> None:
    paths = Jacobian().artefacts("jacobian", results, tmp_path)
    assert [path.name for path in paths] == [
        f"jacobian_{n}" for n in ("results.csv", "summary.json", "figure.png", "figure.pdf", "figure.svg")
    ]
    assert all(path.stat().st_size > 1000 for path in paths)
