"""The experiments there are."""

from fishergauge.reports.course.convergence import Convergence
from fishergauge.reports.course.efficiency import Efficiency
from fishergauge.reports.course.newton import Newton
from fishergauge.reports.course.parametrisation import Parametrisation
from fishergauge.reports.course.policy import Policy
from fishergauge.reports.course.quality import Quality
from fishergauge.reports.course.statements import Course
from fishergauge.reports.course.training import Training
from fishergauge.reports.e1 import E1
from fishergauge.reports.e2 import E2
from fishergauge.reports.e3 import E3
from fishergauge.reports.e4 import E4
from fishergauge.reports.experiment import Experiment
from fishergauge.reports.gauss_newton.jacobian import Jacobian
from fishergauge.reports.gauss_newton.nonlinear import Nonlinear
from fishergauge.reports.gauss_newton.posterior import Posterior
from fishergauge.reports.gauss_newton.vector_field import VectorField

_PAPER: tuple[Experiment, ...] = (E1(), E2(), E3(), E4())
_GAUSS_NEWTON: tuple[Experiment, ...] = (VectorField(), Jacobian(), Posterior(), Nonlinear())
_COURSE: tuple[Experiment, ...] = (
    Newton(),
    Training(),
    Parametrisation(),
    Quality(),
    Efficiency(),
    Convergence(),
    Policy(),
    Course(),
)

EXPERIMENTS: dict[str, Experiment] = {e.name: e for e in (*_PAPER, *_GAUSS_NEWTON, *_COURSE)}
"""By name, in the order of :data:`fishergauge.reports.targets.TARGETS`."""
