"""The record of one probe: that of a check, with its power, its estimate, and what it took."""

from dataclasses import dataclass

from fishergauge.suites.record import Record


@dataclass(frozen=True)
class ProbeRecord(Record):
    """What one probe found; a line of a records file with some more keys, which ``fishergauge compare`` reads as well.

    ``claim`` is the id of the probe.

    Args:
        power: the smallest relative defect that is seen with a probability of at least
            1 - :data:`~fishergauge.suites.probes.probe.MISSED`; None where nothing is drawn, or nothing was measured.
        seen: what the power is relative to, and what cannot be seen.
        estimate: of a quantity that the probe estimates.
        interval: of its confidence.
        products: of the subject, in columns; those that probes share count for the first of them.
        exact_products: of the reference.
        peak_bytes: most bytes that tensors and workspaces held at any moment, those held from before included.
        num_parameters: P.

    Example:
        >>> ProbeRecord("mine", "probe-psd", "mlp-1e6", measured=0.0, bound=1e-12, power=1e-3).as_dict()["power"]
        0.001
    """

    power: float | None = None
    seen: str = ""
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    products: int = 0
    exact_products: int = 0
    peak_bytes: int | None = None
    num_parameters: int = 0

    @property
    def factor(self) -> float | None:
        """Bytes for each parameter at the peak; None where they were not counted."""
        return None if self.peak_bytes is None or not self.num_parameters else self.peak_bytes / self.num_parameters
