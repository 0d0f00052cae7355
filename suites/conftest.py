"""Fixtures of the suites."""

from collections.abc import Callable

import pytest

from fishergauge.suites.benchmarks.pytest_benchmark_hooks import (  # noqa: F401
    pytest_benchmark_compare_machine_info,
    pytest_benchmark_update_json,
    pytest_benchmark_update_machine_info,
    pytest_collection_modifyitems,
)
from fishergauge.suites.quantities import Quantities

Note = Callable[[str], None]


@pytest.fixture(scope="session")
def quantities() -> Quantities:
    """The quantities under examination: those of the reference."""
    return Quantities()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Leave a line that is printed at the end of the run, also from a worker process."""

    def leave(text: str) -> None:
        request.node.user_properties.append(("note", text))

    return leave


@pytest.fixture
def measured(
    request: pytest.FixtureRequest, task: str, implementation: str, problem: str, precision: str, device: str
) -> Callable[[], None]:
    """Verify the result of a case and time it, to be called once."""
    from fishergauge.suites.benchmarks.measured import Measured

    return Measured(request, task, implementation, problem, precision, device)
