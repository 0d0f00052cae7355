"""The quantities that the suites examine, as one record, so that a defect can be planted in any of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Curvature, Problem
from fishergauge.reference.softmax_regression import (
    softmax_regression_empirical_fisher,
    softmax_regression_fisher,
    softmax_regression_gradient,
    softmax_regression_kfac,
)

OfProblem = Callable[[Problem], Curvature]


def fisher_type2(problem: Problem) -> Curvature:
    """The Fisher from output Hessians."""
    return reference.fisher(problem, kind=2)


@dataclass(frozen=True)
class Quantities:
    """Functions under examination; by default those of :mod:`fishergauge.reference`."""

    gradient: Callable[[Problem], Tensor] = reference.gradient
    hessian: OfProblem = reference.hessian
    ggn: OfProblem = reference.ggn
    fisher: OfProblem = reference.fisher
    fisher_type2: OfProblem = fisher_type2
    empirical_fisher: OfProblem = reference.empirical_fisher
    monte_carlo_fisher: Callable[[Problem, int, torch.Generator], Curvature] = reference.monte_carlo_fisher
    kl_divergence: Callable[[Problem, Tensor], Tensor] = reference.kl_divergence
    natural_gradient_step: Callable[..., Tensor] = reference.natural_gradient_step
    newton_step: Callable[..., Tensor] = reference.newton_step
    trust_region_step: Callable[..., Tensor] = reference.trust_region_step
    kl_matched_step: Callable[..., Tensor] = reference.kl_matched_step
    quadratic_length: Callable[..., Tensor] = reference.quadratic_length
    pseudo_inverse: Callable[..., Tensor] = reference.pseudo_inverse
    solve_psd: Callable[..., Tensor] = reference.solve_psd
    solve_damped: Callable[..., Tensor] = reference.solve_damped
    conjugate_gradients: Callable[..., Tensor] = reference.conjugate_gradients
    woodbury_solve: Callable[..., Tensor] = reference.woodbury_solve
    softmax_regression_fisher: Callable[[Tensor, Tensor], Tensor] = softmax_regression_fisher
    softmax_regression_kfac: Callable[[Tensor, Tensor], Tensor] = softmax_regression_kfac
    softmax_regression_empirical_fisher: Callable[[Tensor, Tensor, Tensor], Tensor] = softmax_regression_empirical_fisher
    softmax_regression_gradient: Callable[[Tensor, Tensor, Tensor], Tensor] = softmax_regression_gradient

    def named(self, name: str) -> Any:
        """The quantity of that name."""
        return getattr(self, name)
