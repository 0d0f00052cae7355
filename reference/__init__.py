"""The mathematics of curvature matrices: reference quantities by three independent routes."""

from fishergauge.reference.curvature import Curvature, block_slices
from fishergauge.reference.empirical_fisher import empirical_fisher
from fishergauge.reference.errors import ConvergenceError, ProblemError, UndefinedError, UnsupportedError
from fishergauge.reference.facts import Facts
from fishergauge.reference.fisher import fisher
from fishergauge.reference.ggn import ggn
from fishergauge.reference.gradient import gradient, objective
from fishergauge.reference.hessian import hessian
from fishergauge.reference.jacobian import output_jacobian
from fishergauge.reference.likelihoods import likelihood_of
from fishergauge.reference.monte_carlo import monte_carlo_fisher
from fishergauge.reference.problem import Problem

__all__ = [
    "ConvergenceError",
    "Curvature",
    "Facts",
    "Problem",
    "ProblemError",
    "UndefinedError",
    "UnsupportedError",
    "block_slices",
    "empirical_fisher",
    "fisher",
    "ggn",
    "gradient",
    "hessian",
    "likelihood_of",
    "monte_carlo_fisher",
    "objective",
    "output_jacobian",
]
