"""The mathematics of curvature matrices: reference quantities by three independent routes."""

from fishergauge.reference.advantages import generalized_advantages
from fishergauge.reference.class_probabilities import class_probabilities
from fishergauge.reference.conjugate_gradients import conjugate_gradients
from fishergauge.reference.curvature import Curvature, block_slices
from fishergauge.reference.divergence import kl_divergence
from fishergauge.reference.eigen_kfac import EigenKronecker, eigen_kfac
from fishergauge.reference.empirical_fisher import empirical_fisher
from fishergauge.reference.errors import ConvergenceError, ProblemError, UndefinedError, UnsupportedError
from fishergauge.reference.facts import Facts
from fishergauge.reference.fisher import fisher
from fishergauge.reference.gaussian_predictive import GaussianPredictive
from fishergauge.reference.gaussian_prior import GaussianPrior
from fishergauge.reference.ggn import ggn
from fishergauge.reference.gradient import gradient, objective
from fishergauge.reference.hessian import hessian
from fishergauge.reference.jacobian import output_jacobian
from fishergauge.reference.kfac import KroneckerBlock, KroneckerFactored, kfac
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_predictive import (
    joint_covariance,
    linearized_outputs,
    linearized_predictive,
    sampled_predictive,
)
from fishergauge.reference.last_layer import LastLayer, last_layer
from fishergauge.reference.layer_statistics import LayerStatistics
from fishergauge.reference.likelihoods import likelihood_of
from fishergauge.reference.linear_combination import LinearCombination
from fishergauge.reference.linear_gaussian import linear_gaussian_map
from fishergauge.reference.low_rank import LowRank, low_rank
from fishergauge.reference.matched_length import matched_length
from fishergauge.reference.merged_fisher import merged
from fishergauge.reference.monte_carlo import monte_carlo_fisher
from fishergauge.reference.policy_gradient import (
    NaturalPolicyGradient,
    natural_policy_gradient,
    policy_gradient,
    policy_problem,
    surrogate_gain,
)
from fishergauge.reference.problem import Problem
from fishergauge.reference.pseudo_inverse import pseudo_inverse, solve_psd
from fishergauge.reference.quasi_diagonal import QuasiDiagonal, quasi_diagonal
from fishergauge.reference.reparametrization import FAMILIES, Reparametrization, reparametrized
from fishergauge.reference.sample_gradients import sample_gradients
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
from fishergauge.reference.truncated_conjugate_gradients import Truncated, truncated_conjugate_gradients
from fishergauge.reference.trust_region_policy import TrustRegionUpdate, trust_region_policy_update
from fishergauge.reference.variance_reduced_fisher import minibatch, minibatch_curvature, variance_reduced_fisher
from fishergauge.reference.woodbury import woodbury_solve

__all__ = [
    "FAMILIES",
    "ConvergenceError",
    "Curvature",
    "EigenKronecker",
    "Facts",
    "GaussianPredictive",
    "GaussianPrior",
    "KroneckerBlock",
    "KroneckerFactored",
    "LaplacePosterior",
    "LastLayer",
    "LayerStatistics",
    "LinearCombination",
    "LowRank",
    "NaturalPolicyGradient",
    "Problem",
    "ProblemError",
    "QuasiDiagonal",
    "Reparametrization",
    "Truncated",
    "TrustRegionUpdate",
    "UndefinedError",
    "UnsupportedError",
    "block_slices",
    "class_probabilities",
    "conjugate_gradients",
    "eigen_kfac",
    "empirical_fisher",
    "fisher",
    "generalized_advantages",
    "ggn",
    "gradient",
    "hessian",
    "joint_covariance",
    "kfac",
    "kl_divergence",
    "kl_matched_step",
    "laplace",
    "last_layer",
    "likelihood_of",
    "linear_gaussian_map",
    "linearized_outputs",
    "linearized_predictive",
    "low_rank",
    "matched_length",
    "merged",
    "minibatch",
    "minibatch_curvature",
    "monte_carlo_fisher",
    "natural_gradient_step",
    "natural_policy_gradient",
    "newton_step",
    "objective",
    "output_jacobian",
    "policy_gradient",
    "policy_problem",
    "pseudo_inverse",
    "quadratic_length",
    "quasi_diagonal",
    "reparametrized",
    "sample_gradients",
    "sampled_predictive",
    "shampoo",
    "softmax_regression_empirical_fisher",
    "softmax_regression_fisher",
    "softmax_regression_gradient",
    "softmax_regression_kfac",
    "solve_damped",
    "solve_psd",
    "surrogate_gain",
    "truncated_conjugate_gradients",
    "trust_region_policy_update",
    "trust_region_step",
    "variance_reduced_fisher",
    "woodbury_solve",
]
