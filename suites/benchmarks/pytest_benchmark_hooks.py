"""What pytest-benchmark stores and compares: machines are named and told apart, and its files are strict JSON."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from fishergauge.suites.benchmarks.machine import differences, machine, versions

MACHINE = "fishergauge"


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Let pytest-benchmark see, while it chooses, that cases are benchmarks.

    They ask for its fixture only when their result is verified. With --benchmark-skip they look like other tests, so that
    they are verified still.
    """
    timed = [item for item in items if "measured" in getattr(item, "fixturenames", ())]
    shown = [] if config.getoption("benchmark_skip", False) and not config.getoption("benchmark_only", False) else timed
    for item in shown:
        item.fixturenames.append("benchmark")  # type: ignore[attr-defined]
    try:
        return (yield)
    finally:
        for item in shown:
            item.fixturenames.remove("benchmark")  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add the models of CPU and GPU, the number of threads and torch's build, which the name of a folder does not tell."""
    machine_info[MACHINE] = machine(config.getoption("bench_device"))


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(machine_info: dict[str, Any], compared_benchmark: dict[str, Any]) -> None:
    """Refuse to compare with a run on another machine, where times differ for reasons that are not the code's."""
    earlier = compared_benchmark.get("machine_info", {}).get(MACHINE)
    if earlier is None:
        raise pytest.UsageError(
            "--benchmark-compare: the saved run does not say on which CPU, GPU, threads and build of torch it was measured; "
            "measure it anew with the suites of fishergauge"
        )
    if found := differences(earlier, machine_info[MACHINE]):
        raise pytest.UsageError(
            f"--benchmark-compare: the saved run is of another machine ({'; '.join(found)}); times do not compare. "
            "Measure both on one machine"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Add versions, and replace numbers that JSON does not know by null."""
    output_json["versions"] = versions()
    _make_strict(output_json)


def _make_strict(value: Any) -> None:
    """Replace what is not finite in dictionaries and lists, in place."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        if isinstance(inner, float) and not math.isfinite(inner):
            value[key] = None
        elif isinstance(inner, dict | list):
            _make_strict(inner)
