"""The third route: plain loops over samples, labels and entries, for small problems.

Nothing is shared with the other routes: the loss is torch's own module, derivatives are those of
``torch.autograd.grad`` on the model as it is, expectations run over every label, and what the reduction
divides by is found by comparing the loss under ``sum`` and ``mean``. Slow on purpose. The softmax is
differentiated as it stands, so that very confident outputs are out of its reach.
"""

import copy
import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fishergauge.reference.errors import UndefinedError, UnsupportedError
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.problem import Problem


def oracle_gradient(problem: Problem) -> Tensor:
    """The gradient of the objective by one backward pass: ``(P,)``."""
    return _gradient(problem, problem.loss(_evaluate(problem, problem.inputs), problem.targets)).detach()


def oracle_hessian(problem: Problem) -> Tensor:
    """The Hessian of the objective, one row for each entry of the gradient: ``(P, P)``."""
    loss = problem.loss(_evaluate(problem, problem.inputs), problem.targets)
    slope = _gradient(problem, loss, create_graph=True)
    return torch.stack([_gradient(problem, entry, retain_graph=True) for entry in slope])


def oracle_ggn(problem: Problem) -> Tensor:
    """The GGN, with the Jacobian of one sample at a time row by row: ``(P, P)``."""
    matrix = problem.vector.new_zeros(problem.num_parameters, problem.num_parameters)
    for inputs, target in _samples(problem):
        outputs = _evaluate(problem, inputs)
        jacobian = torch.stack([_gradient(problem, entry, retain_graph=True) for entry in outputs.reshape(-1)])
        leaf = outputs.detach().requires_grad_()
        (slope,) = torch.autograd.grad(_terms(problem, leaf, target).sum(), leaf, create_graph=True)
        if slope.requires_grad:
            rows = [torch.autograd.grad(entry, leaf, retain_graph=True)[0].reshape(-1) for entry in slope.reshape(-1)]
            matrix += jacobian.T @ torch.stack(rows) @ jacobian
    return matrix / _divisor(problem)


def oracle_empirical_fisher(problem: Problem) -> Tensor:
    """The empirical Fisher, one term at a time: ``(P, P)``."""
    matrix = problem.vector.new_zeros(problem.num_parameters, problem.num_parameters)
    for inputs, target in _samples(problem):
        for term in _terms(problem, _evaluate(problem, inputs), target):
            slope = _gradient(problem, term, retain_graph=True)
            matrix += torch.outer(slope, slope)
    return matrix / _divisor(problem)


def oracle_fisher(problem: Problem) -> Tensor:
    """The Fisher, one term and one label at a time: ``(P, P)``.

    Args:
        problem: small; with binary labels, 2^C gradients are taken for each term of C outputs.

    Returns:
        The sum over labels of probability times outer product of gradients, over the divisor.

    Raises:
        UndefinedError: the loss has class weights, ``pos_weight`` or label smoothing, or soft targets.
        UnsupportedError: there are more than 4096 labels a term.
    """
    _refuse_weights(problem)
    matrix = problem.vector.new_zeros(problem.num_parameters, problem.num_parameters)
    for inputs, target in _samples(problem):
        outputs = _evaluate(problem, inputs)
        for position in range(len(_terms(problem, outputs, target))):
            for probability, labels in _label_values(problem, outputs.detach(), target, position):
                slope = _gradient(problem, _terms(problem, outputs, labels, masked=False)[position], retain_graph=True)
                matrix += probability * torch.outer(slope, slope)
    return matrix / _divisor(problem)


def _samples(problem: Problem) -> Iterator[tuple[Tensor, Tensor]]:
    """The samples of all batches one by one, each with a batch axis of size one.

    Raises:
        UnsupportedError: a weight of the loss has a sample axis, which a single sample lacks.
    """
    weight = getattr(problem.loss, "weight", None)
    width = problem.outputs.shape[-1] if problem.outputs.ndim > 1 else 1
    if (
        isinstance(problem.loss, nn.BCEWithLogitsLoss)
        and weight is not None
        and tuple(weight.shape) not in ((), (1,), (width,))
    ):
        raise UnsupportedError("the oracle takes one sample at a time and does not support a weight for each sample")
    for inputs, targets in problem.batches:
        for n in range(len(inputs)):
            yield inputs[n : n + 1], targets[n : n + 1]


def _evaluate(problem: Problem, inputs: Tensor) -> Tensor:
    with differentiable_attention():
        outputs: Tensor = problem.model(inputs)
    return outputs


def _gradient(problem: Problem, scalar: Tensor, create_graph: bool = False, retain_graph: bool | None = None) -> Tensor:
    """The gradient of a scalar with respect to the parameters; zero where it does not depend on them."""
    parameters = list(problem.parameters.values())
    if not scalar.requires_grad:
        return torch.zeros_like(problem.vector)
    with differentiable_attention():
        pieces = torch.autograd.grad(
            scalar, parameters, create_graph=create_graph, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
        )
    return torch.cat([piece.reshape(-1) for piece in pieces])


def _with_reduction(problem: Problem, reduction: str) -> nn.Module:
    """A copy of the loss module with another reduction."""
    loss = copy.deepcopy(problem.loss)
    setattr(loss, "reduction", reduction)  # noqa: B010 (torch types attributes of modules as tensors)
    return loss


def _terms(problem: Problem, outputs: Tensor, target: Tensor, masked: bool = True) -> Tensor:
    """The un-reduced terms of one sample: ``(T,)``; not ``masked``, a class that marks ignored labels counts as well."""
    loss = _with_reduction(problem, "none")
    if not masked and isinstance(loss, nn.CrossEntropyLoss):
        loss.ignore_index = -1 - outputs.shape[1]
        target = target.clamp(min=0, max=outputs.shape[1] - 1)  # other terms may hold a mark beyond the classes
    losses: Tensor = loss(outputs, target)
    if not isinstance(problem.loss, nn.CrossEntropyLoss) and losses.ndim > 1:
        losses = losses.sum(-1)
    return losses.reshape(-1)


def _divisor(problem: Problem) -> float:
    """What the reduction divides by: the ratio of the loss under ``sum`` and under ``mean``."""
    if problem.loss.reduction == "sum":
        return 1.0
    # at outputs other than the model's, so that the loss is not zero where the model interpolates
    outputs = torch.cat([_evaluate(problem, inputs).detach() for inputs, _ in problem.batches])
    probe = outputs + torch.linspace(0.5, 1.5, outputs.numel(), dtype=outputs.dtype, device=outputs.device).view_as(outputs)
    total = float(_with_reduction(problem, "sum")(probe, problem.targets))
    if total == 0:  # cross-entropy of a single class: the objective is zero, whatever divides it
        return 1.0
    return total / float(_with_reduction(problem, "mean")(probe, problem.targets))


def _label_values(problem: Problem, outputs: Tensor, target: Tensor, position: int) -> Iterator[tuple[float, Tensor]]:
    """Every label of one term with its probability, the labels of the other terms unchanged."""
    if isinstance(problem.loss, nn.CrossEntropyLoss):
        if int(target.reshape(-1)[position]) == problem.loss.ignore_index:
            return
        probabilities = outputs[0].reshape(outputs.shape[1], -1)[:, position].softmax(0)
        for index, probability in enumerate(probabilities):
            labels = target.clone()
            labels.view(-1)[position] = index
            yield float(probability), labels
        return
    width = outputs.shape[-1] if outputs.ndim > 1 else 1
    if 2**width > 4096:
        raise UnsupportedError(f"the oracle would enumerate 2^{width} labels a term; it is for small problems")
    mean = outputs.reshape(-1, width)[position]
    for bits in itertools.product((0.0, 1.0), repeat=width):
        choice = mean.new_tensor(bits)
        if isinstance(problem.loss, nn.BCEWithLogitsLoss):
            odds = mean.sigmoid()
            weight, label = float(torch.where(choice == 1, odds, 1 - odds).prod()), choice
        else:  # two nodes a coordinate give the mean and the covariance of the Gaussian of variance 1/2
            weight, label = 0.5**width, mean + math.sqrt(0.5) * (2 * choice - 1)
        labels = target.clone()
        labels.view(-1, width)[position] = label
        yield weight, labels


def _refuse_weights(problem: Problem) -> None:
    loss = problem.loss
    present = [name for name in ("weight", "pos_weight") if getattr(loss, name, None) is not None]
    if getattr(loss, "label_smoothing", 0.0):
        present.append("label_smoothing")
    soft = problem.targets.is_floating_point() and not isinstance(loss, nn.MSELoss)
    if soft and not bool(((problem.targets == 0) | (problem.targets == 1)).all() and isinstance(loss, nn.BCEWithLogitsLoss)):
        present.append("soft targets")
    if present:
        raise UndefinedError(f"the Fisher is not defined with {', '.join(present)}: the objective is no log-likelihood")
