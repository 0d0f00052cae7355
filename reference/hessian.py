"""The Hessian of the objective."""

from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.func import grad, vmap

from fishergauge.reference.curvature import Curvature, Per, block_slices, symmetrized
from fishergauge.reference.evaluation import differentiable_attention, plainly
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.ggn import ggn
from fishergauge.reference.gradient_graph import GradientGraph
from fishergauge.reference.jacobian import Parameters, differentiated
from fishergauge.reference.linearization import Linearization, differentiated_in, linearization_of, linearized_terms
from fishergauge.reference.problem import Problem

CHUNK = 64  # vectors multiplied at once


def hessian(problem: Problem) -> "Hessian":
    r"""The Hessian of the objective.

    .. math:: \nabla^2 L = G + \frac{1}{M} \sum_k \sum_c [\nabla_z \ell_k]_c \nabla^2_\theta [z_k]_c

    The GGN G keeps its accuracy for very confident outputs; the rest is the Hessian of the outputs
    weighed by fixed residuals, by reverse over reverse differentiation. (Forward over vectorised reverse
    mode, as in ``torch.func.hessian``, is wrong through ``layer_norm`` in torch 2.13.) A product is one pass through the
    graph of the gradient, which the operator keeps with a copy of the parameters: it is a snapshot.

    Args:
        problem: P parameters.

    Returns:
        An operator of shape (P, P); symmetric, in general indefinite.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> hessian(problem).dense()
        tensor([[2.0000, 2.0000],
                [2.0000, 2.0000]])

    Reference:
        Martens, JMLR 21 (2020), sec. 8.1, eq. 6.
    """
    return Hessian(problem)


class Hessian(Curvature):
    """See :func:`hessian`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.terms = linearized_terms(problem)

    @property
    def ggn(self) -> GaussNewton:
        """The first summand."""
        return self._ggn if plainly() else ggn(self.problem, self.terms)  # what a transform makes must not outlive it

    @cached_property
    def _ggn(self) -> GaussNewton:
        return ggn(self.problem, self.terms)

    def dense(self) -> Tensor:
        return symmetrized(self.ggn.dense() + self._rest(slice(0, self.shape[0])))

    def diagonal(self) -> Tensor:
        pieces = [self._rest(part).diagonal() for part in block_slices(self.problem, "parameter").values()]
        return self.ggn.diagonal() + torch.cat(pieces)

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        slices = block_slices(self.problem, per)
        return {name: symmetrized(block + self._rest(slices[name])) for name, block in self.ggn.blocks(per).items()}

    def _products(self, vectors: Tensor) -> Tensor:
        if self.terms.linearization is None or differentiated_in(vectors):
            with differentiable_attention():
                return self.ggn._products(vectors) + vmap(self._rest_product())(vectors)
        return self._graph.products(vectors)

    @cached_property
    def _linearization(self) -> Linearization:
        return linearization_of(self.problem, self.terms)

    @property
    def _residuals(self) -> Tensor:
        return self.problem.likelihood.residuals(self.terms.outputs, self.terms.labels) / self.terms.divisor

    @cached_property
    def _graph(self) -> GradientGraph:
        """The gradient, whose derivative is the Hessian; kept from the first product on."""
        terms = self.terms
        residuals, multiply = self.problem.likelihood.derivatives(terms.outputs, terms.labels)
        return GradientGraph(self._linearization, residuals / terms.divisor, lambda u: multiply(u) / terms.divisor)

    @cached_property
    def _rest_graph(self) -> GradientGraph:
        """The outputs weighed by fixed residuals; the derivative of its gradient is the second summand."""
        return GradientGraph(self._linearization, self._residuals)

    def _rest(self, part: slice) -> Tensor:
        """A diagonal block of the second summand, column by column in chunks."""
        size = part.stop - part.start
        block = self.problem.vector.new_zeros(size, size)
        if differentiated_in(block):
            product, within = vmap(self._rest_product()), part
        else:
            parameters = [
                i
                for i, own in enumerate(block_slices(self.problem, "parameter").values())
                if part.start <= own.start < part.stop
            ]
            if self._rest_graph.constant(parameters):
                return block
            product, within = partial(self._rest_graph.block_products, parameters=parameters), slice(0, size)
        basis = block.new_zeros(min(CHUNK, size), self.shape[0] if within is part else size)
        with differentiable_attention():
            for first in range(0, size, CHUNK):
                count = min(CHUNK, size - first)
                index = torch.arange(count, device=block.device)
                basis.zero_()[index, within.start + first + index] = 1
                block[first : first + count] = product(basis[:count])[:, within]
        return block

    def _rest_product(self) -> Callable[[Tensor], Tensor]:
        """The product of the second summand with one vector ``(P,)``, for transforms of torch.func."""
        linearization, residuals = self._linearization, self._residuals

        def weighed(parameters: Parameters) -> Tensor:
            return (linearization.evaluate(parameters).flatten(0, 1) * residuals).sum()

        with differentiable_attention():
            _, pull = differentiated(grad(weighed), linearization.fixed())

        def product(vector: Tensor) -> Tensor:
            return torch.cat([g.reshape(-1) for g in pull(self.problem.unflatten(vector))[0].values()])

        return product
