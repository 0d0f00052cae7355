"""The outputs of a problem as a linear function of the parameters: kept once, multiplied cheaply many times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._python_dispatch import TorchDispatchMode

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.evaluation import called_at, differentiable_attention, plainly
from fishergauge.reference.jacobian import (
    Parameters,
    detached,
    pulled_back,
    pushed_forward,
    same_outputs,
)
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import Terms, terms_of


class Linearization:
    r"""The Jacobians of the terms at the parameters of this moment, as products.

    The model is evaluated once, and its graph is kept. With :math:`g(u) = \sum_k J_k' u_k`, which is linear in u,

    .. math:: \sum_k J_k' u_k = g(u), \qquad (J_k v)_k = \nabla_u \, \big(g(u)' v\big),

    so that each of the two products costs two matrix products a linear layer, one fewer for the first, and no
    evaluation of the model. Forward-mode differentiation is avoided on purpose: through ``Embedding(padding_idx=...)``
    it is not the transpose of reverse mode, and fused attention has none.

    What it holds: a copy of the parameters, and what the layers keep for differentiation, the activations of all N
    samples. The copy makes it a snapshot: later changes of the model do not reach it.

    Args:
        problem: K = N T terms of C outputs, P parameters.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> linearization = Linearization(Problem(model, torch.nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))]))
        >>> linearization.push(torch.tensor([[1.0, 2.0, 3.0]])).flatten()
        tensor([6., 6., 6., 6.])
        >>> linearization.pull(torch.ones(1, 4, 1))
        tensor([[4., 4., 4.]])

    Reference:
        Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994); the transpose of the
        transpose: Townsend, "A new trick for calculating Jacobian vector products" (2017).
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._at = called_at(problem.model, list(problem.parameters))
        plain = plainly()
        self._parameters = {name: p.clone() for name, p in detached(problem).items()}
        if plain:
            for parameter in self._parameters.values():
                parameter.requires_grad_()
        with torch.set_grad_enabled(plain), differentiable_attention():
            outputs = self._at(self._parameters, (problem.inputs,))
            self._outputs = problem.likelihood.split(outputs)
        self.outputs: Tensor = outputs.detach()

    def push(self, vectors: Tensor) -> Tensor:
        r"""Products :math:`J_k v` with the rows of ``(B, P)``: ``(B, K, C)``."""
        if differentiated_in(vectors):
            return pushed_forward(self.evaluate, self.fixed(), self._outputs.detach(), vmap(self.problem.unflatten)(vectors))
        return one_by_one(lambda v: self._push(v).flatten(0, 1), vectors)

    def pull(self, cotangents: Tensor) -> Tensor:
        r"""Products :math:`\sum_k J_k' u_k` with ``(B, K, C)``: ``(B, P)``."""
        if differentiated_in(cotangents):
            return pulled_back(self.evaluate, self.fixed(), cotangents)
        return one_by_one(self._pull, cotangents)

    @property
    def places(self) -> list[Tensor]:
        """The parameters in the graph, in the order of the problem's."""
        return list(self._parameters.values())

    @property
    def by_sample(self) -> Tensor:
        """The terms in the graph, ``(N, T, C)``."""
        return self._outputs

    def evaluate(self, parameters: Parameters) -> Tensor:
        """The terms at other parameters, ``(N, T, C)``."""
        return self.problem.likelihood.split(self._at(parameters, (self.problem.inputs,)))

    def fixed(self) -> Parameters:
        """The parameters, outside the graph."""
        return {name: p.detach() for name, p in self._parameters.items()}

    def _pull(self, cotangent: Tensor) -> Tensor:
        """The product with one ``(K, C)``, ``(P,)``: a backward pass through the graph that is kept."""
        places = list(self._parameters.values())
        if not self._outputs.requires_grad:
            return cotangent.new_zeros(sum(p.numel() for p in places))
        u = cotangent.view_as(self._outputs)
        pulled = torch.autograd.grad(self._outputs, places, u, retain_graph=True, allow_unused=True, materialize_grads=True)
        return torch.cat([g.reshape(-1) for g in pulled])

    def _push(self, vector: Tensor) -> Tensor:
        """The product with one ``(P,)``, ``(N, T, C)``: a backward pass through the graph of the pull-back."""
        point, pulled = self._transpose
        pieces = self.problem.unflatten(vector)
        used = {name: g for name, g in pulled.items() if g is not None and g.requires_grad}
        if not used:
            return torch.zeros_like(self._outputs)
        return torch.autograd.grad(list(used.values()), point, [pieces[name] for name in used], retain_graph=True)[0]

    @cached_property
    def _transpose(self) -> tuple[Tensor, Mapping[str, Tensor | None]]:
        """The pull-back as a graph, at zero: the point u and, by parameter, g(u)."""
        point = torch.zeros_like(self._outputs, requires_grad=True)
        if not self._outputs.requires_grad:
            return point, {}
        with torch.enable_grad(), differentiable_attention(), _WithoutZeroProducts():  # type: ignore[no-untyped-call]
            pulled = torch.autograd.grad(
                self._outputs, list(self._parameters.values()), point, create_graph=True, allow_unused=True
            )
        return point, dict(zip(self._parameters, pulled, strict=True))


class _WithoutZeroProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Leaves out matrix products with a zero matrix: of a graph that is made at zero, only the structure is wanted."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.mm.default:
            left, right = args
            if not (torch.count_nonzero(left) and torch.count_nonzero(right)):
                return left.new_zeros(()).expand(len(left), right.shape[1])
        return func(*args, **(kwargs or {}))


def linearized_terms(problem: Problem) -> Terms:
    """The terms of a problem together with the linearisation of which they are the value: one evaluation of the model."""
    if not plainly():
        return terms_of(problem)
    linearization = Linearization(problem)
    return replace(terms_of(problem, linearization.outputs), linearization=linearization)


def linearization_of(problem: Problem, terms: Terms) -> Linearization:
    """The linearisation at which the terms were evaluated.

    Raises:
        ProblemError: there is none yet, and the model has changed since.
    """
    if terms.linearization is not None:
        return terms.linearization
    linearization = Linearization(problem)
    if not same_outputs(problem.likelihood.split(linearization.outputs), terms.by_sample):
        raise ProblemError(
            "the model or its data changed after the matrix was made: its outputs are others now; make the matrix anew"
        )
    return linearization


def differentiated_in(vectors: Tensor) -> bool:
    """Whether somebody may differentiate through a product with these vectors; it then needs a graph of its own."""
    return not plainly() or (vectors.requires_grad and torch.is_grad_enabled())


def one_by_one(product: Callable[[Tensor], Tensor], vectors: Tensor) -> Tensor:
    """A product with each of several vectors: at once where torch can."""
    if len(vectors) > 1:
        try:
            return vmap(product)(vectors)
        except RuntimeError:  # an operation without a batching rule
            pass
    return torch.stack([product(vector) for vector in vectors])
