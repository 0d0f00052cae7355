"""The gradient of an objective as a graph: kept once, differentiated cheaply many times."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.linearization import Linearization, one_by_one


class GradientGraph:
    r"""The gradient :math:`g(\theta) = \sum_k J_k(\theta)' r_k` with its graph, on that of a linearisation.

    With a product :math:`H_k u` given for the output Hessians, :math:`r_k` depends on the outputs, and the derivative of g
    is the Hessian :math:`\sum_k J_k' H_k J_k + R`; without one, the r are constants, and it is R alone. Either product
    is one backward pass through the graph, without an evaluation of the model (double backward; forward over reverse
    mode is wrong through ``layer_norm`` in torch 2.13).

    Args:
        linearization: of the outputs; its parameters are those of this graph too.
        residuals: r, the gradients of the objective at the outputs, ``(K, C)``.
        by_output_hessians: maps u, ``(K, C)``, to the products :math:`H_k u_k`; None for constant r.

    Example:
        >>> from fishergauge.reference import Problem
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False))
        >>> problem = Problem(model, torch.nn.MSELoss(), [(torch.ones(1, 1), torch.ones(1, 1))])
        >>> graph = GradientGraph(Linearization(problem), torch.ones(1, 1))  # of the product of the two weights
        >>> graph.products(torch.tensor([[2.0, 3.0]]))
        tensor([[3., 2.]])

    Reference:
        Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).
    """

    def __init__(
        self, linearization: Linearization, residuals: Tensor, by_output_hessians: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self._places = linearization.places
        outputs = linearization.by_sample
        cotangent = residuals.detach().view_as(outputs)
        self._gradients: list[Tensor | None] = [None] * len(self._places)
        if not outputs.requires_grad:
            return
        with torch.enable_grad(), differentiable_attention():
            if by_output_hessians is not None:
                cotangent = _Residuals.apply(outputs, cotangent, by_output_hessians)  # type: ignore[no-untyped-call]
            gradients = torch.autograd.grad(outputs, self._places, cotangent, create_graph=True, allow_unused=True)
        self._gradients = [g if g is not None and g.requires_grad else None for g in gradients]

    def products(self, vectors: Tensor) -> Tensor:
        """The derivative of the gradient times the rows of ``(B, P)``: ``(B, P)``."""
        return one_by_one(lambda v: self._product(v, range(len(self._places))), vectors)

    def constant(self, parameters: Sequence[int]) -> bool:
        """Whether the gradient with respect to some parameters, given by their places, depends on none at all."""
        return all(self._gradients[i] is None for i in parameters)

    def block_products(self, vectors: Tensor, parameters: Sequence[int]) -> Tensor:
        """The same for the diagonal block of neighbouring parameters, given by their places: ``(B, p)`` to ``(B, p)``."""
        return one_by_one(lambda v: self._product(v, parameters), vectors)

    def _product(self, vector: Tensor, parameters: Sequence[int]) -> Tensor:
        places = [self._places[i] for i in parameters]
        pieces = zip(parameters, torch.split(vector, [p.numel() for p in places]), strict=True)
        used = [(g, piece.view_as(g)) for i, piece in pieces if (g := self._gradients[i]) is not None]
        if not used:
            return torch.zeros_like(vector)
        gradients, cotangents = zip(*used, strict=True)
        pulled = torch.autograd.grad(
            gradients, places, cotangents, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return torch.cat([g.reshape(-1) for g in pulled])


class _Residuals(torch.autograd.Function):
    """Residuals already known, as a function of the outputs."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, residuals: Tensor, by_output_hessians: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.by_output_hessians = by_output_hessians
        return residuals.clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None]:
        product = ctx.by_output_hessians(cotangent.flatten(0, 1))
        return product.view_as(cotangent), None, None
