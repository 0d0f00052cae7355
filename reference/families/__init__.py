"""Families of distributions: their Fisher information, natural gradients and duals."""

from fishergauge.reference.families.draws import drawn
from fishergauge.reference.families.evolution_strategies import (
    Search,
    minimise,
    natural_search_gradient,
    search_gradient,
    utilities,
    vanilla_step,
    xnes_step,
)
from fishergauge.reference.families.exponential_family import (
    BERNOULLI,
    EXPONENTIAL,
    POISSON,
    ExponentialFamily,
    categorical,
    gaussian,
)
from fishergauge.reference.families.fisher_information import METHODS, fisher_information, score
from fishergauge.reference.families.linear_regression import (
    linear_regression_fisher,
    linear_regression_gradient,
    linear_regression_natural_gradient,
)
from fishergauge.reference.families.logistic_regression import (
    logistic_regression_empirical_fisher,
    logistic_regression_fisher,
    logistic_regression_gradient,
    logistic_regression_loss,
)
from fishergauge.reference.families.mirror_descent import (
    bregman_divergence,
    dual_natural_gradient_step,
    mirror_descent_step,
)
from fishergauge.reference.families.multivariate_gaussian import (
    COORDINATES,
    gaussian_fisher,
    gaussian_from_coordinates,
    gaussian_natural_gradient,
    gaussian_to_coordinates,
)
from fishergauge.reference.families.quadrature import gauss_hermite, gaussian_cubature
from fishergauge.reference.families.symmetric import duplication_matrix, lower_triangular, symmetric, vech
from fishergauge.reference.families.variational_inference import (
    Posterior,
    linear_regression_expectations,
    logistic_regression_bound,
    logistic_regression_expectations,
    natural_gradient_vi_step,
)

__all__ = [
    "BERNOULLI",
    "COORDINATES",
    "EXPONENTIAL",
    "METHODS",
    "POISSON",
    "ExponentialFamily",
    "Posterior",
    "Search",
    "bregman_divergence",
    "categorical",
    "drawn",
    "dual_natural_gradient_step",
    "duplication_matrix",
    "fisher_information",
    "gauss_hermite",
    "gaussian",
    "gaussian_cubature",
    "gaussian_fisher",
    "gaussian_from_coordinates",
    "gaussian_natural_gradient",
    "gaussian_to_coordinates",
    "linear_regression_expectations",
    "linear_regression_fisher",
    "linear_regression_gradient",
    "linear_regression_natural_gradient",
    "logistic_regression_bound",
    "logistic_regression_empirical_fisher",
    "logistic_regression_expectations",
    "logistic_regression_fisher",
    "logistic_regression_gradient",
    "logistic_regression_loss",
    "lower_triangular",
    "minimise",
    "mirror_descent_step",
    "natural_gradient_vi_step",
    "natural_search_gradient",
    "score",
    "search_gradient",
    "symmetric",
    "utilities",
    "vanilla_step",
    "vech",
    "xnes_step",
]
