"""The machine is named on every platform, and other machines are told apart."""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from fishergauge.suites.benchmarks import machine as module
from fishergauge.suites.benchmarks.machine import PACKAGES, differences, machine, versions

INTEL = (
    "processor\t: 0\nmodel\t\t: 207\nmodel name\t: Imagined(R) Core: 9\n\nprocessor\t: 1\nmodel name\t: Imagined(R) Core: 9\n"
)
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The model that stands in a file of the form of ``/proc/cpuinfo``; None: there is no such file."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(module, "CPUINFO", path)

    def read(text: str | None) -> str:
        if text is not None:
            path.write_text(text)
        return module.cpu_model.__wrapped__()

    return read


def test_the_cpu_is_named_by_its_model(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert model(INTEL) == "Imagined(R) Core: 9"
    assert model(ARM) == "aarch64 0x41 0xd40"
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert model("processor : 0\n") == "aarch64"


def test_macos_is_asked_by_its_own_command(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    answer = subprocess.CompletedProcess([], 0, "Imagined M9\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: answer)
    assert model(None) == "Imagined M9"


def test_nothing_raises_where_nothing_is_known(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(subprocess, "run", fails)
    for name in ("processor", "machine"):
        monkeypatch.setattr(platform, name, lambda: "")
    assert model(None) == "unknown"
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for device in ("cpu", "cuda:99", "no-such-device"):
        found = machine(device)
        assert int(found["cores"]) >= 1
        assert found["gpu"] == ("" if device == "cpu" else "none")


def test_the_machine_says_what_a_time_depends_on_and_fits_into_json() -> None:
    found = machine()
    assert found["threads"] == torch.get_num_threads()
    assert found["torch"] == torch.__version__
    assert found["gpu"] == ""
    assert json.loads(json.dumps(found)) == found
    assert differences(found, json.loads(json.dumps(found))) == []


def test_a_gpu_is_named_in_a_run_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Imagined 9000 at {device}")
    assert machine("cuda:1")["gpu"] == "Imagined 9000 at cuda:1"
    assert machine("cpu")["gpu"] == ""


@pytest.mark.parametrize(
    ("key", "other", "said"),
    [
        ("cpu", "B", "CPU: A, now B"),
        ("gpu", "G", "GPU: none, now G"),
        ("threads", 8, "threads: 2, now 8"),
        ("torch", "2.9.0+cu128", "torch: 2.9.0, now 2.9.0+cu128"),
        ("cuda", "12.8", "CUDA: none, now 12.8"),
    ],
)
def test_machines_differ_by_what_changes_times(key: str, other: str | int, said: str) -> None:
    one: dict[str, str | int] = {
        "cpu": "A",
        "gpu": "",
        "threads": 2,
        "torch": "2.9.0",
        "cuda": "",
        "python": "3.10",
        "cores": 4,
    }
    assert differences(one, {**one, key: other}) == [said]
    assert differences(one, {**one, "python": "3.11", "platform": "elsewhere", "cores": 8}) == []
    assert differences({name: value for name, value in one.items() if name != "cpu"}, one) == ["CPU: unknown, now A"]


def test_versions_are_those_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", (*PACKAGES, "no-such-package"))
    found = versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert "no-such-package" not in found
