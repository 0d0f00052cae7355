"""Curvature by plain differentiation, to judge the implementations that are measured: short, in float64, and theirs in nothing.

Covered are problems with one term a sample, outputs ``(N, C)`` of a model that treats samples independently.
"""

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

from fishergauge.reference import Problem, UndefinedError, UnsupportedError

CHUNK_BYTES = 2**27
JACOBIAN_BYTES = 2**23  # at a time: what stays in the cache

Term = Callable[[Tensor, Tensor], Tensor]


def plain_gradient(problem: Problem) -> Tensor:
    """The gradient of the objective by one backward pass, ``(P,)``."""
    model = copy.deepcopy(problem.model)
    loss = problem.loss(model(problem.inputs), problem.targets)
    return _flat(torch.autograd.grad(loss, _trained(model)))


def plain_sample_gradients(problem: Problem) -> Tensor:
    """The gradients of the un-reduced terms, ``(N, P)``."""
    _require_vectors(problem)
    term, at = term_of(problem), _called(problem)

    def value(parameters: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Tensor:
        return term(at(parameters, inputs), target)

    rows = vmap(grad(value), (None, 0, 0))(_values(problem), problem.inputs, problem.targets)
    return torch.cat([rows[name].flatten(1) for name in problem.parameters], 1)


def term_of(problem: Problem) -> Term:
    """The un-reduced term of one sample, of its outputs ``(C,)`` and its target: the loss module under ``sum``."""
    loss = copy.deepcopy(problem.loss)
    loss.reduction = "sum"  # type: ignore[assignment]

    def term(outputs: Tensor, target: Tensor) -> Tensor:
        value: Tensor = loss(outputs[None], target[None])
        return value

    return term


def divisor(problem: Problem) -> float:
    """M, what the reduction divides by: the ratio of the loss under ``sum`` and under ``mean``, at other outputs."""
    if problem.loss.reduction == "sum":
        return 1.0
    outputs = problem.outputs
    probe = outputs + torch.linspace(0.5, 1.5, outputs.numel(), dtype=outputs.dtype, device=outputs.device).view_as(outputs)
    summed = copy.deepcopy(problem.loss)
    summed.reduction = "sum"  # type: ignore[assignment]
    return float(summed(probe, problem.targets)) / float(problem.loss(probe, problem.targets))


def middle(problem: Problem, target: str) -> Tensor:
    r"""The matrices B of :math:`\frac1M \sum_n J_n' B_n J_n`, ``(N, C, C)``.

    The Hessian of the term for the GGN, the expectation of the outer product of its gradients for the Fisher, and the outer
    product at the observed label for the empirical Fisher.

    Args:
        problem: with one term a sample.
        target: ``"ggn"``, ``"fisher"`` or ``"empirical-fisher"``.

    Raises:
        UndefinedError: the Fisher of an objective that is no log-likelihood.
        UnsupportedError: a sample has several terms.
    """
    _require_vectors(problem)
    term, outputs, targets = term_of(problem), problem.outputs, problem.targets
    if target == "ggn":
        hessians: Tensor = vmap(jacrev(grad(term)))(outputs, targets)
        return hessians
    if target == "empirical-fisher":
        slopes = vmap(grad(term))(outputs, targets)
        outer: Tensor = slopes[:, :, None] * slopes[:, None, :]
        return outer
    if target != "fisher":
        raise UnsupportedError(f"there is no {target} of the form J' B J")
    return _expected(problem, term, outputs)


def _expected(problem: Problem, term: Term, outputs: Tensor) -> Tensor:
    """The expectation of the outer product of the gradients over the model's labels."""
    loss = problem.loss
    if getattr(loss, "weight", None) is not None or getattr(loss, "pos_weight", None) is not None:
        raise UndefinedError("the Fisher is not defined with weights in the loss")
    if isinstance(loss, nn.CrossEntropyLoss):
        if loss.label_smoothing or problem.targets.is_floating_point():
            raise UndefinedError("the Fisher is not defined with smooth labels")
        labels = torch.arange(outputs.shape[1], device=outputs.device)
        slopes = vmap(vmap(grad(term), (None, 0)), (0, None))(outputs, labels)  # (N, labels, C)
        weighed = outputs.softmax(1)[:, :, None] * slopes
        together: Tensor = weighed.mT @ slopes
        return together * (problem.targets != loss.ignore_index)[:, None, None]
    # of the Gaussian with variance 1/2 and of independent Bernoulli labels the expectation is diagonal
    if isinstance(loss, nn.MSELoss):
        return torch.diag_embed(torch.full_like(outputs, 2.0))
    odds = outputs.sigmoid()
    return torch.diag_embed(odds * (1 - odds))


def jacobians(problem: Problem) -> Iterator[tuple[slice, Tensor]]:
    """The Jacobians of the outputs of some samples at a time, ``(n, C, P)``."""
    _require_vectors(problem)
    at, values = _called(problem), _values(problem)
    row = problem.outputs.shape[1] * problem.num_parameters * problem.dtype.itemsize
    step = max(1, JACOBIAN_BYTES // row)
    for first in range(0, problem.num_samples, step):
        part = slice(first, first + step)
        pieces = vmap(jacrev(at), (None, 0))(values, problem.inputs[part])
        yield part, torch.cat([pieces[name].flatten(2) for name in problem.parameters], 2)


def plain_matrix(problem: Problem, target: str) -> Tensor:
    """The matrix, ``(P, P)``: by rows of the Jacobian or of gradients, or the Hessian by a second backward pass."""
    if target == "hessian":
        return _plain_hessian(problem)
    if target == "empirical-fisher":
        rows = plain_sample_gradients(problem)
        return rows.T @ rows / divisor(problem)
    weights = middle(problem, target) / divisor(problem)
    matrix = problem.vector.new_zeros(problem.num_parameters, problem.num_parameters)
    for part, jacobian in jacobians(problem):
        matrix.addmm_((weights[part] @ jacobian).flatten(0, 1).T, jacobian.flatten(0, 1))
    return matrix


def plain_diagonal(problem: Problem, target: str) -> Tensor:
    """The diagonal of the matrix without the matrix, ``(P,)``; not of the Hessian."""
    if target == "empirical-fisher":
        return plain_sample_gradients(problem).square().sum(0) / divisor(problem)
    weights = middle(problem, target) / divisor(problem)
    diagonal = torch.zeros_like(problem.vector)
    for part, jacobian in jacobians(problem):
        diagonal += (jacobian * (weights[part] @ jacobian)).sum((0, 1))
    return diagonal


def _plain_hessian(problem: Problem) -> Tensor:
    size = problem.num_parameters
    product = hessian_product(problem)
    convolves = any(isinstance(module, nn.modules.conv._ConvNd) for module in problem.model.modules())
    # torch takes longer for many second derivatives of a convolution at once than for one after the other
    step = 1 if convolves else max(1, CHUNK_BYTES // (16 * problem.outputs.numel() * problem.dtype.itemsize))
    rows = []
    for first in range(0, size, step):
        basis = torch.zeros(min(step, size - first), size, dtype=problem.dtype, device=problem.device)
        basis[:, first : first + step].fill_diagonal_(1)
        rows.append(product(basis))
    return torch.cat(rows)


def hessian_product(problem: Problem) -> Callable[[Tensor], Tensor]:
    """Products of the Hessian with ``(B, P)``: a second backward pass through one kept gradient."""
    model = copy.deepcopy(problem.model)
    parameters = _trained(model)
    loss = problem.loss(model(problem.inputs), problem.targets)
    slope = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parameters, create_graph=True)])

    def product(vectors: Tensor) -> Tensor:
        if len(vectors) == 1:
            return _flat(torch.autograd.grad(slope, parameters, vectors[0], retain_graph=True))[None]
        pieces = torch.autograd.grad(slope, parameters, vectors, retain_graph=True, is_grads_batched=True)
        return torch.cat([piece.detach().flatten(1) for piece in pieces], 1)

    return product


def sum_product(problem: Problem, target: str) -> Callable[[Tensor], Tensor]:
    """The product J' B J v / M with a vector ``(P,)``, J v by a second backward pass through J' u."""
    weights, kept = middle(problem, target) / divisor(problem), _Kept(problem)
    return lambda vector: kept.pulled((weights @ kept.pushed(vector)[:, :, None])[:, :, 0])


class _Kept:
    """An evaluated copy of the model, with the graphs of its outputs and of J' u.

    Args:
        problem: whose model is copied.
    """

    def __init__(self, problem: Problem) -> None:
        model = copy.deepcopy(problem.model)
        self.parameters = _trained(model)
        self.outputs: Tensor = model(problem.inputs)
        self.probe = torch.zeros_like(self.outputs, requires_grad=True)
        self.graph = torch.autograd.grad(self.outputs, self.parameters, self.probe, create_graph=True)

    def pushed(self, vector: Tensor) -> Tensor:
        """J v, ``(N, C)``."""
        pieces = torch.split(vector, [p.numel() for p in self.parameters])
        shaped = [piece.view_as(p) for piece, p in zip(pieces, self.parameters, strict=True)]
        return torch.autograd.grad(self.graph, self.probe, shaped, retain_graph=True)[0].detach()

    def pulled(self, cotangents: Tensor) -> Tensor:
        """J' u, ``(P,)``."""
        return _flat(torch.autograd.grad(self.outputs, self.parameters, cotangents, retain_graph=True))


def pushed(problem: Problem, vector: Tensor) -> Tensor:
    """J v, ``(N, C)``, by a second backward pass through J' u."""
    return _Kept(problem).pushed(vector)


def _called(problem: Problem) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """The outputs ``(C,)`` of one sample as a function of the parameters."""

    def at(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(problem.model, parameters, (inputs[None],))
        return outputs[0]

    return at


def _values(problem: Problem) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in problem.parameters.items()}


def _trained(model: nn.Module) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _flat(pieces: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([piece.detach().reshape(-1) for piece in pieces])


def _require_vectors(problem: Problem) -> None:
    shape = problem.outputs.shape
    if len(shape) != 2:
        raise UnsupportedError(f"outputs {tuple(shape)} have several terms a sample, for which there is no plain route here")


def norm_estimate(product: Callable[[Tensor], Tensor], start: Tensor, steps: int = 8) -> float:
    """A lower bound of the spectral norm, by power iteration."""
    vector, size = start / start.norm(), 0.0
    for _ in range(steps):
        image = product(vector)
        size = float(image.norm())
        if not size > 0 or not math.isfinite(size):
            return size
        vector = image / size
    return size
