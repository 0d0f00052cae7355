"""How a cost grows with the number of parameters: the sizes of a network, and the exponent of a power law."""

from collections.abc import Sequence
from dataclasses import dataclass

from fishergauge.reports.power_law import power_law_exponent


@dataclass(frozen=True)
class Sizes:
    """The sizes of a chain of linear layers with biases.

    Args:
        widths: from the inputs to the outputs.
        N: number of samples.

    Example:
        >>> Sizes((3, 4, 2), 10).total
        26
    """

    widths: tuple[int, ...]
    N: int

    @property
    def maps(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer."""
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def parameters(self) -> list[int]:
        """The sizes of the parameters, weights and biases in turn."""
        return [size for n, m in self.maps for size in (m * n, m)]

    @property
    def layers(self) -> list[int]:
        """The numbers of parameters of the layers."""
        return [m * (n + 1) for n, m in self.maps]

    @property
    def total(self) -> int:
        """P, the number of parameters."""
        return sum(self.layers)

    @property
    def outputs(self) -> int:
        """C, the number of outputs."""
        return self.widths[-1]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    r"""The slope of log cost against log size, by least squares; NaN where fewer than two costs are positive.

    Args:
        sizes: positive.
        costs: those that are zero are left out.

    Example:
        >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    positive = [(size, cost) for size, cost in zip(sizes, costs, strict=True) if cost > 0]
    return power_law_exponent([size for size, _ in positive], [cost for _, cost in positive])
