"""Fixtures of the suites."""

from collections.abc import Callable

import pytest

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
