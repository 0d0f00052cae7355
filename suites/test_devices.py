"""On every visible device the quantities are those of the CPU, and stay on their device."""

import os
import subprocess
import sys

import pytest
import torch

from fishergauge.reference import UnsupportedError
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.devices import description, devices, require
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.zoo import ZOO, zoo_problem

WEIGHTED = ("class-weights", "soft-targets", "positive-weights")

every_device = pytest.mark.parametrize("device", devices())


@every_device
@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("quantity", ["hessian", "ggn", "fisher", "empirical_fisher"])
def test_matrices_on_a_device_are_those_of_the_cpu(device: str, name: str, quantity: str, quantities: Quantities) -> None:
    if quantity == "fisher" and name in WEIGHTED:
        quantity = "ggn"
    here, there = zoo_problem(name), zoo_problem(name, device=device)
    matrix, expected = quantities.named(quantity)(there), quantities.named(quantity)(here).dense()
    scale = max(float(expected.norm()), float(quantities.ggn(here).dense().norm()))
    vector = torch.linspace(-1, 1, here.num_parameters, dtype=torch.float64)
    for name_, result, claim in (
        ("dense", matrix.dense(), expected),
        ("product", matrix @ vector.to(device), expected @ vector),
        ("diagonal", matrix.diagonal(), expected.diagonal()),
    ):
        assert result.device.type == device, f"the {name_} of {quantity} is on {result.device}"
        assert_close(result.cpu(), claim, f"{name_} of {quantity} on {device}", scale=scale * float(vector.norm()))


@every_device
def test_steps_and_samples_stay_on_their_device(device: str, quantities: Quantities) -> None:
    problem = zoo_problem("mlp-tanh-softmax", device=device)
    slope, matrix = quantities.gradient(problem), quantities.fisher(problem).dense()
    results = {
        "gradient": slope,
        "natural gradient": quantities.natural_gradient_step(matrix, slope, damping=0.1),
        "matched step": quantities.kl_matched_step(problem, slope, 1e-3),
        "conjugate gradients": quantities.conjugate_gradients(quantities.ggn(problem), slope, 0.1),
        "Monte-Carlo": quantities.monte_carlo_fisher(problem, 2, torch.Generator(device).manual_seed(0)).dense(),
        "closed form": quantities.softmax_regression_fisher(problem.inputs, problem.outputs),
    }
    assert {name: result.device.type for name, result in results.items()} == dict.fromkeys(results, device)


def test_a_missing_device_is_an_error_and_not_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("FISHERGAUGE_REQUIRE", "cuda")
    with pytest.raises(UnsupportedError, match="no such device is visible"):
        require()
    monkeypatch.setenv("FISHERGAUGE_REQUIRE", "tpu")
    with pytest.raises(UnsupportedError, match="cpu or cuda"):
        require()


def test_a_visible_device_counts_and_availability_alone_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices() == ["cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Imagined 9000")
    monkeypatch.setenv("FISHERGAUGE_REQUIRE", "cuda")
    require()
    assert devices() == ["cpu", "cuda"]
    assert "Imagined 9000" in description()


def test_hidden_devices_leave_the_suites_usable() -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = "from fishergauge.suites.devices import devices; print(devices())"
    result = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['cpu']"
