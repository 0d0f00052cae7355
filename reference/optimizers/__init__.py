"""Optimisers that precondition with a curvature matrix."""

from fishergauge.reference.optimizers.adahessian import AdaHessian, averaged_diagonal_step
from fishergauge.reference.optimizers.eigenvalue_clipping import EigenvalueClipping
from fishergauge.reference.optimizers.gradual_fisher import GradualFisher
from fishergauge.reference.optimizers.hutchinson import all_signs, drawn_signs, hutchinson_diagonal
from fishergauge.reference.optimizers.kfac import Kfac
from fishergauge.reference.optimizers.levenberg_marquardt import Damping, Fixed, LevenbergMarquardt, reduction_ratio
from fishergauge.reference.optimizers.natural_gradient_descent import Trajectory, natural_gradient_descent
from fishergauge.reference.optimizers.shampoo import Shampoo

__all__ = [
    "AdaHessian",
    "Damping",
    "EigenvalueClipping",
    "Fixed",
    "GradualFisher",
    "Kfac",
    "LevenbergMarquardt",
    "Shampoo",
    "Trajectory",
    "all_signs",
    "averaged_diagonal_step",
    "drawn_signs",
    "hutchinson_diagonal",
    "natural_gradient_descent",
    "reduction_ratio",
]
