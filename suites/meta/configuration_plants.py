"""Planted defects for the configurations of the losses."""

from dataclasses import replace

from fishergauge import reference
from fishergauge.suites import test_loss_configurations as configurations
from fishergauge.suites.meta import defects as d
from fishergauge.suites.meta.plants import PER_CENT, RIGHT, Plant, plant
from fishergauge.suites.quantities import Quantities

PLAIN = configurations.Configuration("categorical", "mean", (2,), False, False, 0.0, "masked", 1)


def _on(defect: str, quantities: Quantities, **changed: object) -> Plant:
    test = configurations.test_every_configuration_meets_the_oracle_or_is_refused_by_both
    return plant(test, defect, quantities, configuration=replace(PLAIN, **changed))  # type: ignore[arg-type]


REFUSES_NOTHING = replace(RIGHT, fisher=reference.ggn, fisher_type2=reference.ggn)
CONFIGURATION_PLANTS = [
    _on("masked labels counted", replace(RIGHT, ggn=d.ignored_labels_counted)),
    _on("scale off by one per cent", PER_CENT, loss="binary", positive=True),
    _on("a Fisher of a smoothed loss", REFUSES_NOTHING, smoothing=0.3),
    _on("a Fisher of a weighted loss", REFUSES_NOTHING, weighted=True),
    _on("a Fisher of soft targets", REFUSES_NOTHING, loss="binary", targets="soft"),
    _on("a gradient times N", replace(RIGHT, gradient=lambda p: p.num_samples * reference.gradient(p))),
    _on("damping in the Hessian", replace(RIGHT, hessian=d.growing_damping()), loss="squared"),
]
