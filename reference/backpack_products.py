"""Products with the Hessian and the generalised Gauss-Newton matrix by BackPACK's double backward."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from backpack.hessianfree.ggnvp import ggn_vector_product_from_plist
from backpack.hessianfree.hvp import hessian_vector_product
from torch import Tensor, nn

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.problem import Problem

Product = Callable[["Evaluated", list[Tensor]], Sequence[Tensor]]


@dataclass(frozen=True)
class Evaluated:
    """The objective, the outputs, the parameters of the copy and the gradient, all with their graphs."""

    loss: Tensor
    outputs: Tensor
    parameters: list[nn.Parameter]
    gradient: tuple[Tensor, ...]


def backpack_hessian_product(problem: Problem, vectors: Tensor) -> Tensor:
    """The product of the Hessian of the objective with vectors, by double backward.

    Args:
        problem: P parameters; any model and loss that torch can differentiate twice.
        vectors: ``(P,)`` or ``(P, B)``.

    Returns:
        The shape of ``vectors``.

    Raises:
        ProblemError: the shape of ``vectors`` does not fit.
        UnsupportedError: torch has no second derivative of some operation.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> backpack_hessian_product(problem, torch.ones(2))
        tensor([4., 4.])

    Reference:
        Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).
    """
    return _products(problem, vectors, hessian_product)


def backpack_ggn_product(problem: Problem, vectors: Tensor) -> Tensor:
    """The product of the generalised Gauss-Newton matrix with vectors, by double backward.

    The Hessian in the middle is that of the loss with respect to all outputs, by automatic
    differentiation of the loss module, so that its reduction, weights and masks are honoured.

    Args:
        problem: P parameters; any model and loss that torch can differentiate twice.
        vectors: ``(P,)`` or ``(P, B)``.

    Returns:
        The shape of ``vectors``.

    Raises:
        ProblemError: the shape of ``vectors`` does not fit.
        UnsupportedError: torch has no second derivative of some operation.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> backpack_ggn_product(problem, torch.ones(2))
        tensor([4., 4.])

    Reference:
        Schraudolph, "Fast curvature matrix-vector products", Neural Computation 14 (2002).
    """
    return _products(problem, vectors, ggn_product)


def hessian_product(at: Evaluated, vector: list[Tensor]) -> Sequence[Tensor]:
    """The product of the Hessian with one vector in pieces, from an objective that is evaluated."""
    result: Sequence[Tensor] = hessian_vector_product(at.loss, at.parameters, vector, grad_params=at.gradient)
    return result


def ggn_product(at: Evaluated, vector: list[Tensor]) -> Sequence[Tensor]:
    """The product of the generalised Gauss-Newton matrix with one vector in pieces, from an objective that is evaluated."""
    result: Sequence[Tensor] = ggn_vector_product_from_plist(at.loss, at.outputs, at.parameters, vector)
    return result


def _products(problem: Problem, vectors: Tensor, product: Product) -> Tensor:
    """Multiply column by column, on a copy of the model, evaluated once."""
    if vectors.ndim not in (1, 2) or len(vectors) != problem.num_parameters:
        shape = (problem.num_parameters,)
        raise ProblemError(f"expected {shape} or ({problem.num_parameters}, B), got {tuple(vectors.shape)}")
    columns = vectors.detach().to(problem.dtype).reshape(problem.num_parameters, -1)
    with torch.enable_grad(), differentiable_attention():
        at = evaluated(problem)
        try:
            results = [product(at, list(problem.unflatten(column).values())) for column in columns.T]
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise UnsupportedError(f"BackPACK's products do not support {problem.name}: {error}") from error
    flat = [torch.cat([t.reshape(-1) for t in result]) for result in results]
    return torch.stack(flat, 1).reshape(vectors.shape) if flat else columns.clone()


def evaluated(problem: Problem) -> Evaluated:
    """Evaluate a copy of the model on all data, once, refusing what is differentiable only once.

    BackPACK takes gradients that autograd leaves out for zero. An operation marked as differentiable once cuts
    the graph of the gradient, so that its products would be zero without an error.
    """
    model = copy.deepcopy(problem.model)
    parameters = [p for p in model.parameters() if p.requires_grad]
    outputs = model(problem.inputs.detach())
    loss = problem.loss(outputs, problem.targets.detach())
    gradient = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    pending = [g.grad_fn for g in gradient]
    seen = set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        if node.name().rpartition("::")[2] in ("Error", "DelayedError"):
            raise UnsupportedError("BackPACK's products do not support an operation that is differentiable only once")
        seen.add(node)
        pending.extend(following for following, _ in node.next_functions)
    return Evaluated(loss, outputs, parameters, gradient)
