"""The mathematics of curvature matrices: reference quantities by three independent routes."""

from fishergauge.reference.conjugate_gradients import conjugate_gradients
from fishergauge.reference.curvature import Curvature, block_slices
from fishergauge.reference.divergence import kl_divergence
from fishergauge.reference.eigen_kfac import EigenKronecker, eigen_kfac
from fishergauge.reference.empirical_fisher import empirical_fisher
from fishergauge.reference.errors import ConvergenceError, ProblemError, UndefinedError, UnsupportedError
from fishergauge.reference.facts import Facts
from fishergauge.reference.fisher import fisher
from fishergauge.reference.ggn import ggn
from fishergauge.reference.gradient import gradient, objective
from fishergauge.reference.hessian import hessian
from fishergauge.reference.jacobian import output_jacobian
from fishergauge.reference.kfac import KroneckerBlock, KroneckerFactored, kfac
from fishergauge.reference.layer_statistics import LayerStatistics
from fishergauge.reference.likelihoods import likelihood_of
from fishergauge.reference.matched_length import matched_length
from fishergauge.reference.monte_carlo import monte_carlo_fisher
from fishergauge.reference.problem import Problem
from fishergauge.reference.pseudo_inverse import pseudo_inverse, solve_psd
from fishergauge.reference.quasi_diagonal import QuasiDiagonal, quasi_diagonal
from fishergauge.reference.reparametrization import FAMILIES, Reparametrization, reparametrized
from fishergauge.reference.shampoo import shampoo
from fishergauge.reference.softmax_regression import (
    softmax_regression_empirical_fisher,
    softmax_regression_fisher,
    softmax_regression_gradient,
    softmax_regression_kfac,
)
from fishergauge.reference.steps import (
    kl_matched_step,
    natural_gradient_step,
    newton_step,
    quadratic_length,
    trust_region_step,
)
from fishergauge.reference.tikhonov import solve_damped
from fishergauge.reference.woodbury import woodbury_solve

__all__ = [
    "FAMILIES",
    "ConvergenceError",
    "Curvature",
    "EigenKronecker",
    "Facts",
    "KroneckerBlock",
    "KroneckerFactored",
    "LayerStatistics",
    "Problem",
    "ProblemError",
    "QuasiDiagonal",
    "Reparametrization",
    "UndefinedError",
    "UnsupportedError",
    "block_slices",
    "conjugate_gradients",
    "eigen_kfac",
    "empirical_fisher",
    "fisher",
    "ggn",
    "gradient",
    "hessian",
    "kfac",
    "kl_divergence",
    "kl_matched_step",
    "likelihood_of",
    "matched_length",
    "monte_carlo_fisher",
    "natural_gradient_step",
    "newton_step",
    "objective",
    "output_jacobian",
    "pseudo_inverse",
    "quadratic_length",
    "quasi_diagonal",
    "reparametrized",
    "shampoo",
    "softmax_regression_empirical_fisher",
    "softmax_regression_fisher",
    "softmax_regression_gradient",
    "softmax_regression_kfac",
    "solve_damped",
    "solve_psd",
    "trust_region_step",
    "woodbury_solve",
]
