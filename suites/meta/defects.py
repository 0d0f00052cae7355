"""Planted defects: each is a few lines over the reference, and some suite must turn red on it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge import reference
from fishergauge.reference import Curvature, Problem
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.terms import terms_of
from fishergauge.suites.dense import Dense
from fishergauge.suites.meta import altered as a
from fishergauge.suites.quantities import Quantities

RIGHT = Quantities()
MATRICES = ("hessian", "ggn", "fisher", "fisher_type2", "empirical_fisher")


def all_matrices(change: a.Change) -> Quantities:
    """The same change of every matrix."""
    changed: dict[str, Any] = {name: a.altered(RIGHT.named(name), change) for name in MATRICES}
    return replace(RIGHT, monte_carlo_fisher=_altered_monte_carlo(change), **changed)


def all_operations(operation: str) -> Quantities:
    """One operation of every matrix inconsistent with the others."""
    changed: dict[str, Any] = {name: a.inconsistent(RIGHT.named(name), operation) for name in MATRICES}

    def monte_carlo(problem: Problem, samples: int, generator: torch.Generator) -> Curvature:
        return a.inconsistent(lambda p: reference.monte_carlo_fisher(p, samples, generator), operation)(problem)

    return replace(RIGHT, monte_carlo_fisher=monte_carlo, **changed)


def _altered_monte_carlo(change: a.Change) -> Callable[[Problem, int, torch.Generator], Curvature]:
    def monte_carlo(problem: Problem, samples: int, generator: torch.Generator) -> Curvature:
        return a.altered(lambda p: reference.monte_carlo_fisher(p, samples, generator), change)(problem)

    return monte_carlo


def lost_outer_product(problem: Problem) -> Curvature:
    """H = diag(p) where diag(p) - p p' belongs (f-dangel/backpack 3b3570c2); symmetric and PSD."""
    if not isinstance(problem.loss, nn.CrossEntropyLoss):
        return reference.ggn(problem)
    terms = terms_of(problem)
    return GaussNewton(problem, terms, torch.diag_embed(terms.outputs.softmax(-1).sqrt()))


def most_likely_labels(problem: Problem, samples: int, generator: torch.Generator) -> Curvature:
    """The label of largest probability called a sample; the mean in place of a draw elsewhere."""
    terms = terms_of(problem)
    if isinstance(problem.loss, nn.CrossEntropyLoss):
        labels = terms.outputs.argmax(-1)
    elif isinstance(problem.loss, nn.BCEWithLogitsLoss):
        labels = (terms.outputs > 0).to(terms.outputs.dtype)
    else:
        labels = terms.outputs
    return GaussNewton(problem, terms, problem.likelihood.residuals(terms.outputs, labels)[:, None, :])


def over_samples(problem: Problem, samples: int, generator: torch.Generator) -> Curvature:
    """Each of S losses divided by S before the outer product, so that the estimate is F / S (kazukiosawa/asdl)."""
    return Dense(problem, reference.monte_carlo_fisher(problem, samples, generator).dense() / samples)


def cancelling_softmax(problem: Problem) -> Curvature:
    """The GGN through p - p p' instead of rows of a root: right until the outputs are confident."""
    terms, jacobian = terms_of(problem), reference.output_jacobian(problem)
    p = terms.outputs.sigmoid() if isinstance(problem.loss, nn.BCEWithLogitsLoss) else terms.outputs.softmax(-1)
    outer = torch.diag_embed(p * p) if isinstance(problem.loss, nn.BCEWithLogitsLoss) else p[:, :, None] * p[:, None, :]
    return Dense(problem, torch.einsum("kcp,kcd,kdq->pq", jacobian, torch.diag_embed(p) - outer, jacobian) / terms.divisor)


def cancelling_residuals(problem: Problem) -> Tensor:
    """The gradient through p - e_y."""
    terms, jacobian = terms_of(problem), reference.output_jacobian(problem)
    residual = terms.outputs.softmax(-1) - nn.functional.one_hot(terms.labels, terms.outputs.shape[-1])
    return torch.einsum("kcp,kc->p", jacobian, residual) / terms.divisor


def cancelling_empirical_fisher(problem: Problem) -> Curvature:
    """Outer products of such gradients of a single sample."""
    slope = cancelling_residuals(problem)
    return Dense(problem, torch.outer(slope, slope))


def cancelling_closed_form(inputs: Tensor, logits: Tensor) -> Tensor:
    """The closed form through p - p p'."""
    p = logits.softmax(-1)
    covariance = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    matrix = torch.einsum("nce,ni,nj->ciej", covariance, inputs, inputs) / len(inputs)
    return matrix.reshape(covariance.shape[1] * inputs.shape[1], -1)


def looped_closed_form(inputs: Tensor, logits: Tensor) -> Tensor:
    """The notebook's loop over samples."""
    p = logits.softmax(-1)
    matrix = torch.zeros(p.shape[1] * inputs.shape[1], p.shape[1] * inputs.shape[1], dtype=inputs.dtype)
    for probabilities, x in zip(p, inputs, strict=True):
        matrix += torch.kron(probabilities.diag() - torch.outer(probabilities, probabilities), torch.outer(x, x))
    return matrix / len(inputs)


def swapped_kfac(inputs: Tensor, logits: Tensor) -> Tensor:
    """A kron G."""
    p = logits.softmax(-1)
    output_factor = p.mean(0).diag() - p.T @ p / len(p)
    return torch.kron(inputs.T @ inputs / len(inputs), output_factor.contiguous())


def batch_gradient_as_sample(problem: Problem) -> Curvature:
    """(mean g)^2 in place of mean g^2, as in early elastic weight consolidation (kuc2477/pytorch-ewc#1)."""
    slope = reference.gradient(problem)
    return Dense(problem, torch.outer(slope, slope))


def ignored_labels_counted(problem: Problem) -> Curvature:
    """Masked labels count in the divisor."""
    labels = terms_of(problem).labels
    share = float((labels != -100).double().mean()) if not labels.is_floating_point() else 1.0
    return Dense(problem, share * reference.ggn(problem).dense())


def growing_damping() -> Callable[[Problem], Curvature]:
    """Damping added in place, so that it grows with each use (f-dangel/curvlinops#156)."""

    class Growing(Dense):
        def dense(self) -> Tensor:
            self.matrix = self.matrix + 1e-3 * torch.eye(len(self.matrix), dtype=self.matrix.dtype)
            return self.matrix

    return lambda problem: Growing(problem, reference.ggn(problem).dense())


def leaves_gradients(problem: Problem) -> Curvature:
    """Accumulates into ``grad``."""
    problem.loss(problem.model(problem.inputs), problem.targets).backward()
    return reference.ggn(problem)


def draws_globally(problem: Problem) -> Curvature:
    """Moves the global generator."""
    torch.rand(())
    return reference.fisher(problem)


def leaves_a_hook(problem: Problem) -> Curvature:
    """Leaves its hook on the model, also when the model raises."""
    problem.model.register_forward_hook(lambda *_: None)
    return reference.ggn(problem)


def reparametrised_divergence(problem: Problem, vector: Tensor) -> Tensor:
    """The divergence of a model from itself (neither side fixed, as in some TRPO code)."""
    return reference.kl_divergence(problem, problem.vector)


def doubled_divergence(problem: Problem, vector: Tensor) -> Tensor:
    """The factor 1/2 of the Gaussian divergence forgotten, for every likelihood."""
    return 2 * reference.kl_divergence(problem, vector)


def floored_divergence(problem: Problem, vector: Tensor) -> Tensor:
    """Logarithms protected by 1e-10, so that the divergence of a model from itself is not zero (the notebook's formula)."""
    return reference.kl_divergence(problem, vector) + 9e-10


def quadratic_matched_step(problem: Problem, direction: Tensor, kl: float, guess: float = 1.0) -> Tensor:
    """The length of the quadratic model sold as the exact one."""
    return -math.sqrt(2 * kl / float(direction @ (reference.fisher(problem) @ direction))) * direction


def undamped_radius(matrix: Tensor, gradient: Tensor, kl: float, damping: float = 0.0, cutoff: float | None = None) -> Tensor:
    """A trust region with the factor two forgotten and the damping in one use only."""
    direction = reference.solve_damped(matrix, gradient, damping, cutoff)
    return -math.sqrt(kl / float(direction @ matrix @ direction)) * direction


def gradient_returned(matrix: Tensor, right: Tensor, *_: object, **__: object) -> Tensor:
    """The preconditioner hands back what it was given."""
    return right


def negative_gradient(matrix: Tensor, gradient: Tensor, *_: object, **__: object) -> Tensor:
    """Plain gradient descent in the place of a preconditioned step."""
    return -gradient


def transposed_inverse(matrix: Tensor, *_: object) -> Tensor:
    """The matrix returned as its own inverse."""
    return matrix


UNSOLVED: Mapping[str, Any] = dict.fromkeys(
    ("solve_psd", "solve_damped", "conjugate_gradients", "woodbury_solve"), gradient_returned
)
