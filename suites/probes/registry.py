"""The probes, in the order in which they are measured: the cheap ones that explain the others first."""

from collections.abc import Mapping

from fishergauge.suites.probes import agreement, divergence, estimates, spectrum, statistics, steps
from fishergauge.suites.probes.probe import Probe

_FAMILIES: tuple[tuple[Probe, ...], ...] = (
    agreement.PROBES,
    spectrum.PROBES,
    estimates.PROBES,
    divergence.PROBES,
    steps.PROBES,
    statistics.PROBES,
)

PROBES: Mapping[str, Probe] = {probe.id: probe for family in _FAMILIES for probe in family}
