"""Fixtures of the suites."""

import pytest

from fishergauge.suites.quantities import Quantities


@pytest.fixture(scope="session")
def quantities() -> Quantities:
    """The quantities under examination: those of the reference."""
    return Quantities()
