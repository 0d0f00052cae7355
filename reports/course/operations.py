"""Counted operations of a computation: products as torch counts them, factorisations and entrywise work besides."""

from collections.abc import Callable
from typing import Any

import torch

from fishergauge.suites.factorisation_counts import FACTORISATIONS
from fishergauge.suites.flop_counter import FlopCounter

Shape = torch.Size


def _size(shape: Any) -> int:
    return int(torch.Size(shape).numel())


def _products(left: Shape, right: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """A matrix, or a vector, times a vector."""
    return 2 * _size(left)


def _each_input(shape: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """One operation for each entry of the operand."""
    return _size(shape)


def _each_output(*_: Any, out_shape: Any = None, **__: Any) -> int:
    """One operation for each entry of the result."""
    return _size(out_shape) if isinstance(out_shape, torch.Size) else 0


aten: Any = torch.ops.aten
COUNTS: dict[Any, Callable[..., int]] = {
    **FACTORISATIONS,
    aten.mv: _products,
    aten.dot: _products,
    aten.sum: _each_input,
    **dict.fromkeys(
        (aten.add, aten.sub, aten.mul, aten.div, aten.square, aten.pow, aten.sqrt, aten.reciprocal, aten.tanh), _each_output
    ),
    **dict.fromkeys((aten.add_, aten.sub_, aten.mul_, aten.div_, aten.square_, aten.pow_), _each_output),
}


def operations(function: Callable[[], Any]) -> tuple[int, Any]:
    r"""Floating-point operations of one call, and its result.

    Matrix products and convolutions by torch's counter; Cholesky factorisations as :math:`n^3 / 3`, symmetric eigenproblems
    with vectors as :math:`9 n^3`, LU as :math:`2 n^3 / 3`, two triangular solves as :math:`2 n^2` a right-hand side;
    entrywise arithmetic and sums as one an entry. A function of shapes alone: the same on every machine and in every run.

    Args:
        function: the computation, called once.

    Returns:
        The count, and what the function returned.

    Example:
        >>> operations(lambda: torch.ones(2, 3) @ torch.ones(3, 4))[0]
        48

    Reference:
        Golub and Van Loan, "Matrix computations", 4th ed. (2013), sec. 3.2, 4.2.5 and 8.3.
    """
    with FlopCounter(COUNTS) as counter:
        result = function()
    return int(counter.get_total_flops()), result
