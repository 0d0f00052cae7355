"""Directional derivatives along all coordinates, by reverse mode twice."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vjp, vmap


def coordinate_derivatives(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    r"""The Jacobian of a function of few variables and many values, one pass a variable.

    The map :math:`u \mapsto J'u` is linear in u; its own pull-back is :math:`v \mapsto J v`. Forward mode would do the
    same, but its first use in a process warns of a deprecation.

    Args:
        function: from ``(P,)`` to a tensor of any shape.
        point: ``(P,)``.

    Returns:
        ``(..., P)``, the shape of the values first.

    Example:
        >>> coordinate_derivatives(lambda x: torch.stack([x[0] * x[1], x[1]]), torch.tensor([2.0, 3.0]))
        tensor([[3., 2.],
                [0., 1.]])

    Reference:
        Griewank and Walther, "Evaluating derivatives", 2nd ed. (2008), sec. 3.2 and 3.3.
    """
    values, pull = vjp(function, point)[:2]
    # plus zero: a function that does not depend on its variables would leave the pull-back without a graph
    push = vjp(lambda covector: pull(covector)[0] + 0 * covector.sum(), torch.zeros_like(values))[1]
    columns: Tensor = vmap(lambda direction: push(direction)[0], out_dims=-1)(
        torch.eye(len(point), dtype=point.dtype, device=point.device)
    )
    return columns
