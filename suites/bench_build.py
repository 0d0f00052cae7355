"""Building matrices, blocks, diagonals, Kronecker factors and gradients of samples, verified and timed by pytest-benchmark."""

from collections.abc import Callable

import pytest

from fishergauge.suites.benchmarks.cases import parametrize


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every implementation on every problem."""
    parametrize(metafunc, ("dense", "blocks", "diagonal", "factors", "rows"))


def test_build(measured: Callable[[], None]) -> None:
    """The result is right; then it is timed."""
    measured()
