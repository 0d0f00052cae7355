"""The experiments there are."""

from fishergauge.reports.e1 import E1
from fishergauge.reports.e2 import E2
from fishergauge.reports.e3 import E3
from fishergauge.reports.e4 import E4
from fishergauge.reports.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (E1(), E2(), E3(), E4())}
"""By name, in order."""
