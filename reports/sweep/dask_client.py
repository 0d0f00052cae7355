"""A connection to a dask scheduler."""

import time
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.sweep.computation import said_of
from fishergauge.reports.sweep.engine import EngineError


def connected(address: str, patience: float) -> Any:
    """Connect to a scheduler.

    A scheduler may greet a client in one breath with what it tells all of them, such as that another sweep took its cells
    back. ``distributed`` asserts that the greeting comes alone, so it is asked again.

    Args:
        address: of the scheduler.
        patience: seconds to try.

    Returns:
        A ``distributed.Client``, to be closed.

    Raises:
        EngineError: no scheduler answers there.
    """
    distributed = require("distributed", "dask")

    class Client(distributed.Client):  # type: ignore[misc, name-defined]
        def start(self, **kwargs: Any) -> None:
            try:
                super().start(**kwargs)
            except AssertionError:  # which it does not close itself after
                self.close(timeout=patience)
                raise

    end = time.monotonic() + patience
    while True:
        try:
            return Client(address, timeout=patience, set_as_default=False, name="fishergauge")
        except Exception as error:  # each kind of address fails in its own way
            if isinstance(error, AssertionError) and time.monotonic() < end:
                continue
            raise EngineError(
                f"no dask scheduler answers at {address} ({said_of(error)}); start one with 'dask scheduler', and give the "
                "address that it prints"
            ) from error
