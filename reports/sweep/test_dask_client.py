import threading
from typing import Any

import pytest

from fishergauge.reports.sweep.cell import make_cell
from fishergauge.reports.sweep.dask_client import connected
from fishergauge.reports.sweep.engine import EngineError
from fishergauge.reports.sweep.rehearsal_cluster import Cluster
from fishergauge.reports.sweep.store import SweepStore

distributed = pytest.importorskip("distributed", reason="needs the extra dask")


def _talk(client: Any, times: int) -> None:
    """Have the scheduler greet so many clients together with what it tells all of them."""

    class Talkative(distributed.SchedulerPlugin):  # type: ignore[misc, name-defined]
        name = "talkative"
        left = times

        def add_client(self, scheduler: Any, client: str) -> None:
            if self.left:
                self.left -= 1
                scheduler.loop.add_callback(scheduler.report, {"op": "cancelled-keys", "keys": []})

    client.register_plugin(Talkative())


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "IO loop"}


def test_a_greeting_that_does_not_come_alone_is_asked_for_again(cluster: Cluster, store: SweepStore) -> None:
    with connected(cluster.address, 10.0) as client:
        _talk(client, 2)
        cell = make_cell("fishergauge.reports.sweep.rehearsal:echo", value=1)
        assert cluster.run([cell], store)[cell].verdict == "done"
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.plugins["talkative"].left) == 0
        client.unregister_scheduler_plugin("talkative")


def test_clients_that_were_not_greeted_leave_nothing_behind(cluster: Cluster) -> None:
    with connected(cluster.address, 10.0) as client:
        before = _threads()
        _talk(client, 5)
        with connected(cluster.address, 10.0):
            client.unregister_scheduler_plugin("talkative")
            assert len(_threads() - before) == 1
        assert not _threads() - before


def test_a_scheduler_that_never_greets_is_an_error_in_time(cluster: Cluster) -> None:
    with connected(cluster.address, 10.0) as client:
        _talk(client, 10**6)
        with pytest.raises(EngineError, match=r"no dask scheduler answers at .* \(AssertionError\)"):
            connected(cluster.address, 0.3)
        client.unregister_scheduler_plugin("talkative")
