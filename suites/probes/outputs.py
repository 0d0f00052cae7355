"""How the outputs of a problem of any size change with its parameters, to first order."""

from torch import Tensor

from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.linearization import Linearization, linearization_of
from fishergauge.suites.probes.probe_case import ProbeCase


def linearized(case: ProbeCase) -> Linearization:
    """The outputs as a linear function of the parameters; that of the exact matrix where it has one, so that it is kept once.

    Args:
        case: a subject on a problem; the subject is not called.
    """
    exact = case.exact
    return linearization_of(case.problem, exact.terms) if isinstance(exact, GaussNewton) else Linearization(case.problem)


def largest_gain(linear: Linearization, start: Tensor) -> float:
    """The norm of the Jacobian by three steps of the power method, an underestimate by little.

    Args:
        linear: the outputs.
        start: ``(P,)``, of normal entries.
    """
    gain, vector = 0.0, start
    for _ in range(3):
        vector = vector / vector.norm()
        pushed = linear.push(vector[None])
        gain = float(pushed.norm())
        if gain == 0:
            break
        vector = linear.pull(pushed)[0]
    return gain
