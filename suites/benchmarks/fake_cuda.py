"""A device that computes while the program goes on, with a clock of its own: ``torch`` as the stopwatch sees it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

LAUNCH = 1e-6
FLUSH = 1e-4
L2 = 50_000_000


class FakeCuda:
    """Stands for ``torch`` with one CUDA device, for tests of stopwatches.

    Work is put into a queue and takes no time of the host but for its launch. It takes the device a tenth of its time if
    the cache still holds what it did before. :meth:`now` is the wall clock of the host.

    Args:
        visible: the device that exists; to name another one is an error.
    """

    int8 = "int8"

    def __init__(self, visible: str = "cuda:1") -> None:
        self.visible = visible
        self.host = 10.0
        self.busy_until = 0.0
        self.warm = False
        self.log: list[str] = []
        self.buffers: list[int] = []
        self.events: list[FakeEvent] = []
        self.cuda = SimpleNamespace(
            synchronize=self._synchronize,
            Event=self._event,
            current_stream=self._stream,
            get_device_name=lambda device: f"Imagined 9000 ({device})",
            get_device_properties=self._properties,
        )

    def now(self) -> float:
        """The wall clock of the host."""
        return self.host

    def work(self, seconds: float) -> Callable[[], str]:
        """A call that asks the device for work."""

        def call() -> str:
            self.log.append("call")
            self.enqueue(seconds / 10 if self.warm else seconds)
            self.warm = True
            return "result"

        return call

    def enqueue(self, seconds: float) -> float:
        """Put work into the queue; when the device will have done it."""
        self.host += LAUNCH
        self.busy_until = max(self.busy_until, self.host) + seconds
        return self.busy_until

    def empty(self, size: int, dtype: str, device: str) -> Any:
        """A buffer whose only operation fills the cache."""
        self._check(device)
        self.buffers.append(size)

        def zero() -> None:
            self.log.append("flush")
            self.enqueue(FLUSH)
            self.warm = self.warm and size < L2

        return SimpleNamespace(zero_=zero)

    def _check(self, device: str) -> None:
        if device != self.visible:
            raise RuntimeError(f"{device} is not the device that is measured")

    def _synchronize(self, device: str | None = None) -> None:
        self._check(device or "the current device")
        self.log.append("synchronize")
        self.host = max(self.host, self.busy_until)

    def _stream(self, device: str | None = None) -> str:
        self._check(device or "the current device")
        return "stream"

    def _event(self, enable_timing: bool = False) -> "FakeEvent":
        event = FakeEvent(self, enable_timing)
        self.events.append(event)
        return event

    def _properties(self, device: str) -> SimpleNamespace:
        self._check(device)
        return SimpleNamespace(L2_cache_size=L2)


class FakeEvent:
    """A mark in the queue of a device; what torch would answer wrongly or leave undefined raises here.

    Args:
        device: whose queue.
        timing: whether it was made to be timed.
    """

    def __init__(self, device: FakeCuda, timing: bool) -> None:
        self.device = device
        self.timing = timing
        self.reached: float | None = None

    def record(self, stream: str | None = None) -> None:
        """Note the time at which the device arrives here."""
        if stream != "stream":
            raise RuntimeError("recorded on the stream of another device")
        if self.reached is not None:
            raise RuntimeError("the event was used before")
        self.device.log.append("mark")
        self.reached = self.device.enqueue(0.0)

    def elapsed_time(self, end: "FakeEvent") -> float:
        """Milliseconds up to another mark."""
        if not (self.timing and end.timing):
            raise RuntimeError("made without enable_timing")
        if self.reached is None or end.reached is None:
            raise RuntimeError("not recorded")
        if self.device.host < end.reached:
            raise RuntimeError("the device has not finished")
        return 1000 * (end.reached - self.reached)
