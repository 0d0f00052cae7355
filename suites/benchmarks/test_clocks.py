"""There is one clock a device, and its timer waits before it reads."""

import pytest
import torch

from fishergauge.reference.errors import UnsupportedError
from fishergauge.suites.benchmarks.clocks import CpuClock, CudaClock, clock_of, synchronized_now
from fishergauge.suites.benchmarks.fake_cuda import L2, FakeCuda


def test_the_timer_waits_for_the_device_and_is_the_same_each_time() -> None:
    device = FakeCuda("cuda")
    clock = CudaClock("cuda", device, device.now)
    timer = synchronized_now(clock)
    start = timer()
    device.work(0.5)()
    assert clock.now() - start < 0.1, "the control: the wall clock alone does not see the work"
    assert timer() - start == pytest.approx(0.5, abs=1e-5)
    assert synchronized_now(clock) is timer is not synchronized_now(CpuClock())


def test_the_buffer_that_flushes_is_larger_than_the_cache_and_made_once() -> None:
    device = FakeCuda("cuda")
    clock = CudaClock("cuda", device, device.now)
    clock.flush()
    clock.flush()
    assert device.buffers == [2 * L2]
    assert clock.name == "Imagined 9000 (cuda)"


def test_the_cpu_has_a_name_and_nothing_to_wait_for() -> None:
    clock = clock_of("cpu")
    assert clock is clock_of("cpu")
    assert clock.name
    assert clock.event() is None
    before = clock.now()
    clock.synchronize()
    clock.flush()
    assert 0 <= clock.now() - before < 1


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UnsupportedError, match="not measured: no device"):
        clock_of("cuda:7")
    with pytest.raises(UnsupportedError, match="no stopwatch for meta"):
        clock_of("meta")


@pytest.mark.skipif(torch.cuda.device_count() == 0, reason="not measured: no device")
def test_a_real_device_is_waited_for() -> None:
    clock = clock_of("cuda")
    matrix = torch.ones(4096, 4096, device="cuda")
    matrix @ matrix
    event = clock.event()
    assert event is not None
    clock.flush()
    clock.synchronize()
    event.start()
    start = clock.now()
    for _ in range(20):
        matrix @ matrix
    launched = clock.now() - start
    event.stop()
    clock.synchronize()
    finished = clock.now() - start
    assert launched < finished
    assert 0 < event.seconds() <= finished
