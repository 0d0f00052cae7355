"""A call that takes too long is interrupted, whatever it makes of that, and nothing else is."""

import signal
import threading
import time

import pytest

from fishergauge.suites.benchmarks.deadline import Expired, within


def endless() -> None:
    while True:
        time.sleep(0.01)


def swallowing() -> None:
    try:
        endless()
    except BaseException as error:
        raise RuntimeError("a kernel failed") from error


@pytest.mark.parametrize("call", [endless, swallowing])
def test_a_call_is_interrupted_when_its_time_is_up(call: object) -> None:
    with pytest.raises(Expired):
        within(0.05, call)  # type: ignore[arg-type]


def test_results_and_errors_of_calls_in_time_pass_and_the_timer_ends_with_them() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert within(60.0, lambda: 7) == 7
    with pytest.raises(ValueError, match="own"):
        within(60.0, lambda: int("its own"))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before
    assert not issubclass(Expired, Exception)


def test_outside_the_main_thread_there_is_no_timer() -> None:
    found: list[str] = []

    def late() -> str:
        time.sleep(0.05)
        return "late"

    thread = threading.Thread(target=lambda: found.append(within(0.01, late)))
    thread.start()
    thread.join()
    assert found == ["late"]
