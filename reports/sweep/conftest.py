"""What tests of sweeps share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fishergauge.reports.sweep.rehearsal_cluster import Cluster, started
from fishergauge.reports.sweep.store import SweepStore


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers for the tests of a file."""
    with started(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def store(tmp_path: Path) -> SweepStore:
    """One of the test's own."""
    return SweepStore(tmp_path / "cells.jsonl")
