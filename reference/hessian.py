"""The Hessian of the objective."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, vmap

from fishergauge.reference.curvature import Curvature, Per, block_slices, symmetrized
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.ggn import ggn
from fishergauge.reference.jacobian import Parameters, detached, differentiated, split_outputs
from fishergauge.reference.problem import Problem

CHUNK = 64  # vectors multiplied at once


def hessian(problem: Problem) -> "Hessian":
    r"""The Hessian of the objective.

    .. math:: \nabla^2 L = G + \frac{1}{M} \sum_k \sum_c [\nabla_z \ell_k]_c \nabla^2_\theta [z_k]_c

    The GGN G keeps its accuracy for very confident outputs; the rest is the Hessian of the outputs
    weighed by fixed residuals, by reverse over reverse differentiation. (Forward over vectorised reverse
    mode, as in ``torch.func.hessian``, is wrong through ``layer_norm`` in torch 2.13.)

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
        self.ggn = ggn(problem)

    def dense(self) -> Tensor:
        return symmetrized(self.ggn.dense() + self._rest(slice(0, self.shape[0]), self._rest_product()))

    def diagonal(self) -> Tensor:
        product = self._rest_product()
        pieces = [self._rest(part, product).diagonal() for part in block_slices(self.problem, "parameter").values()]
        return self.ggn.diagonal() + torch.cat(pieces)

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        slices, product = block_slices(self.problem, per), self._rest_product()
        return {name: symmetrized(b + self._rest(slices[name], product)) for name, b in self.ggn.blocks(per).items()}

    def _products(self, vectors: Tensor) -> Tensor:
        with differentiable_attention():
            return self.ggn._products(vectors) + vmap(self._rest_product())(vectors)

    def _rest(self, part: slice, product: Callable[[Tensor], Tensor]) -> Tensor:
        """A diagonal block of the second summand, column by column in chunks."""
        size = part.stop - part.start
        block = self.problem.vector.new_empty(size, size)
        basis = block.new_zeros(min(CHUNK, size), self.shape[0])
        with differentiable_attention():
            for first in range(0, size, CHUNK):
                count = min(CHUNK, size - first)
                index = torch.arange(count, device=block.device)
                basis.zero_()[index, part.start + first + index] = 1
                block[first : first + count] = vmap(product)(basis[:count])[:, part]
        return block

    def _rest_product(self) -> Callable[[Tensor], Tensor]:
        """The product of the second summand with one vector ``(P,)``."""
        problem, terms = self.problem, self.ggn.terms
        residuals = problem.likelihood.residuals(terms.outputs, terms.labels) / terms.divisor
        evaluate = split_outputs(problem, problem.inputs)

        def weighed(parameters: Parameters) -> Tensor:
            return (evaluate(parameters).flatten(0, 1) * residuals).sum()

        with differentiable_attention():
            _, pull = differentiated(grad(weighed), detached(problem))

        def product(vector: Tensor) -> Tensor:
            return torch.cat([g.reshape(-1) for g in pull(problem.unflatten(vector))[0].values()])

        return product
