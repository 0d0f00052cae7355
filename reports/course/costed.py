"""An approximation as its costs are measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes

Count = Callable[[LayerSizes], float]


@dataclass(frozen=True, eq=False)
class Costed:
    """An approximation as its costs are measured.

    Args:
        name: that of the spectrum where it has the approximation.
        label: in figures.
        kind: ``"dense"``, ``"blocks"``, ``"factors"``, ``"diagonal"`` or ``"products"``; a dense one is measured up to fewer
            parameters.
        form: from a problem to what is kept.
        apply: what is kept, and a vector, to the product.
        solve: what is kept, a vector and a damping to the solution of (M + lambda I) x = v.
        numbers: how many floating-point numbers are kept.
        storage: what theory says of ``numbers``.
        forming: of the operations of ``form``, the leading terms.
        solving: of those of ``solve``, the leading terms.
    """

    name: str
    label: str
    kind: str
    form: Callable[[Problem], Any]
    apply: Callable[[Any, Tensor], Tensor]
    solve: Callable[[Any, Tensor, float], Tensor]
    numbers: Callable[[Any], int]
    storage: Count
    forming: Count
    solving: Count
