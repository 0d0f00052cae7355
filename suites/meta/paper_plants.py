"""Planted defects for the paper's claims."""

from dataclasses import replace

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.suites import test_paper_claims as claims
from fishergauge.suites.meta.plants import RIGHT, plant


def diagonal_input_factor(inputs: Tensor, logits: Tensor) -> Tensor:
    """K-FAC with the input factor replaced by its diagonal."""
    output_factor = reference.softmax_regression_fisher(torch.ones(len(inputs), 1).to(inputs), logits)
    return torch.kron(output_factor.contiguous(), inputs.square().mean(0).diag())


def damped_fisher(inputs: Tensor, logits: Tensor) -> Tensor:
    """Damping in the coordinates at hand."""
    matrix = reference.softmax_regression_fisher(inputs, logits)
    return matrix + 1e-2 * torch.eye(len(matrix), dtype=matrix.dtype)


def damped_empirical(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """The empirical Fisher plus a multiple of the identity, so that it depends on the coordinates."""
    matrix = reference.softmax_regression_empirical_fisher(inputs, logits, labels)
    return matrix + 1e-2 * torch.eye(len(matrix), dtype=matrix.dtype)


def identity_fisher(inputs: Tensor, logits: Tensor) -> Tensor:
    """No Fisher at all."""
    return torch.eye(inputs.shape[1] * logits.shape[1], dtype=inputs.dtype)


def forgetful_gradient(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """A gradient that does not follow the coordinates."""
    return torch.ones(inputs.shape[1] * logits.shape[1], dtype=inputs.dtype)


def _whitened_gradient(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """A gradient that is preconditioned in secret, so that plain descent is invariant."""
    slope = reference.softmax_regression_gradient(inputs, logits, labels)
    return reference.solve_psd(reference.softmax_regression_fisher(inputs, logits), slope)


KAPPA = 1e3
PAPER_PLANTS = [
    plant(claims.test_the_published_protocol_passes_whatever_stands_in_the_place_of_the_fisher, "a slope with NaN",
          replace(RIGHT, softmax_regression_gradient=lambda *x: forgetful_gradient(*x) * torch.nan),
          kappa=KAPPA, placeholder="identity"),
    *[plant(claims.test_steps_computed_anew_are_invariant, f"{method}, defective", replace(RIGHT, **changed),
            kappa=KAPPA, method=method, family=family)
      for method, changed in (("exact", {"softmax_regression_fisher": damped_fisher}),
                              ("exact", {"softmax_regression_fisher": identity_fisher}),
                              ("kfac", {"softmax_regression_kfac": identity_fisher}),
                              ("empirical", {"softmax_regression_empirical_fisher": damped_empirical}))
      for family in (claims._scaling, claims._rotated)],
    plant(claims.test_steps_computed_anew_are_invariant, "K-FAC with a diagonal input factor",
          replace(RIGHT, softmax_regression_kfac=diagonal_input_factor), kappa=KAPPA, method="kfac", family=claims._rotated),
    plant(claims.test_the_diagonal_is_invariant_to_scaled_features_only, "damped",
          replace(RIGHT, softmax_regression_fisher=damped_fisher), kappa=KAPPA),
    plant(claims.test_plain_gradient_descent_computed_anew_is_not_invariant, "a gradient preconditioned in secret",
          replace(RIGHT, softmax_regression_gradient=_whitened_gradient), kappa=KAPPA),
    plant(claims.test_the_advantage_at_equal_divergence_approaches_its_closed_form, "damped",
          replace(RIGHT, softmax_regression_fisher=damped_fisher)),
    plant(claims.test_two_corrections_bring_the_divergence_through_gate_b, "factor N in the length",
          replace(RIGHT, quadratic_length=lambda *x: 50 * reference.quadratic_length(*x),
                  kl_divergence=lambda p, v: reference.kl_divergence(p, v) ** 2), kl=1e-3),
]  # fmt: skip
