"""Operations of factorisations and of solving with them, which torch does not count by itself."""

import math
from collections.abc import Callable
from typing import Any

import torch

Shape = torch.Size


def cubes(per_cube: float) -> Callable[..., int]:
    """A count of ``per_cube`` n^3 for each matrix of a batch.

    Args:
        per_cube: operations for n = 1.

    Example:
        >>> cubes(1 / 3)(torch.Size([2, 6, 6]))
        144
    """

    def count(shape: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
        return round(per_cube * shape[-1] ** 3) * math.prod(shape[:-2])

    return count


def _triangles(right: Shape, factor: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Two triangular systems, n^2 each for every right-hand side."""
    return 2 * factor[-1] * math.prod(right)


def _general(matrix: Shape, right: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """An LU factorisation, and two triangular systems."""
    return round(2 / 3 * matrix[-1] ** 3) + 2 * matrix[-1] * math.prod(right)


FACTORISATIONS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.linalg_cholesky_ex: cubes(1 / 3),
    torch.ops.aten._linalg_eigh: cubes(9),
    torch.ops.aten._linalg_solve_ex: _general,
    torch.ops.aten.cholesky_solve: _triangles,
}
"""For :class:`~fishergauge.suites.flop_counter.FlopCounter`; Golub and Van Loan, "Matrix computations", 4th ed. (2013),
sec. 3.2, 4.2.5 and 8.3."""
