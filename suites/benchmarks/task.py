"""What is computed: a quantity, and what is done with it."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.seeding import generator

Operation = Literal["dense", "blocks", "diagonal", "factors", "rows", "first-product", "product", "solve", "step"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
MEANINGS: dict[Operation, str] = {
    "dense": "from the problem to the matrix, (P, P)",
    "blocks": "from the problem to the diagonal blocks of the layers",
    "diagonal": "from the problem to the diagonal, (P,)",
    "factors": "from the problem to the Kronecker factors of every layer",
    "rows": "from the problem to the gradients of the samples, (N, P)",
    "first-product": "from the problem to a product with a vector",
    "product": "a product with a vector, the operator being at hand",
    "solve": "(M + damping I)^-1 v, the matrix being at hand",
    "step": "from the problem to the damped natural-gradient step -(M + damping I)^-1 g",
}
DAMPING = 0.01


@dataclass(frozen=True)
class Task:
    """A quantity and an operation.

    Args:
        quantity: for example ``"ggn"`` or ``"kfac"``.
        operation: one of :data:`OPERATIONS`; :data:`MEANINGS` says where the work of each begins and ends.

    Example:
        >>> str(Task("ggn", "dense"))
        'ggn/dense'
    """

    quantity: str
    operation: Operation

    def __str__(self) -> str:
        return f"{self.quantity}/{self.operation}"


def vector_of(problem: Problem) -> Tensor:
    """The vector that products and solutions are measured with, ``(P,)``: drawn from the name of the problem alone.

    Example:
        >>> from torch import nn
        >>> vector_of(Problem(nn.Linear(1, 1), nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])).shape
        torch.Size([2])
    """
    drawn = torch.randn(problem.num_parameters, generator=generator("benchmark vector", problem.name), dtype=torch.float64)
    return drawn.to(problem.device, problem.dtype)
