"""Maps of channels that cost a few vectors: scales between two reflections, and a fixed module that computes one."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class UnitMap:
    r"""The matrix :math:`H_u \, \mathrm{diag}(s) \, H_v` of channels, with reflections :math:`H_u = I - 2 u u'/u'u`.

    It costs a few vectors, and so do its inverse and its transpose; any mixture of all channels is in reach.

    Args:
        scales: s, ``(D,)``, positive.
        left: u, ``(D,)``; None for the identity.
        right: v, ``(D,)``; None for the identity.

    Example:
        >>> swap = UnitMap(torch.ones(2), left=torch.tensor([1.0, -1.0]))
        >>> swap(torch.tensor([[3.0, 5.0]]), axis=1)
        tensor([[5., 3.]])

    Reference:
        Householder, "Unitary triangularization of a nonsymmetric matrix", Journal of the ACM 5 (1958).
    """

    scales: Tensor
    left: Tensor | None = None
    right: Tensor | None = None

    def __call__(self, values: Tensor, axis: int) -> Tensor:
        """The product with each column along an axis."""
        values = values.movedim(axis, -1)
        values = _reflected(_reflected(values, self.right) * self.scales, self.left)
        return values.movedim(-1, axis)

    @property
    def inverse(self) -> "UnitMap":
        """The inverse matrix."""
        return UnitMap(1 / self.scales, self.right, self.left)

    @property
    def transpose(self) -> "UnitMap":
        """The transposed matrix."""
        return UnitMap(self.scales, self.right, self.left)

    @property
    def condition(self) -> float:
        """Largest over smallest singular value."""
        return float(self.scales.max() / self.scales.min())

    def to(self, dtype: torch.dtype, device: torch.device) -> "UnitMap":
        """The same in another precision, on a device."""
        parts = (self.scales, self.left, self.right)
        return UnitMap(*(part if part is None else part.to(device, dtype) for part in parts))  # type: ignore[arg-type]


def _reflected(values: Tensor, vector: Tensor | None) -> Tensor:
    if vector is None:
        return values
    return values - (values @ vector * (2 / (vector @ vector)))[..., None] * vector


class ChannelMap(nn.Module):
    """A fixed module that computes ``map(x) + shift`` along the axis of channels; it has buffers, no parameters.

    Args:
        unit_map: of the channels.
        trailing: how many axes follow that of the channels.
        shift: ``(D,)`` or None.
    """

    scales: Tensor
    left: Tensor | None
    right: Tensor | None
    shift: Tensor | None

    def __init__(self, unit_map: UnitMap, trailing: int, shift: Tensor | None = None) -> None:
        super().__init__()
        self.trailing = trailing
        parts = {"scales": unit_map.scales, "left": unit_map.left, "right": unit_map.right, "shift": shift}
        for name, part in parts.items():
            self.register_buffer(name, part)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shaped like the inputs."""
        axis = inputs.ndim - 1 - self.trailing
        mapped = UnitMap(self.scales, self.left, self.right)(inputs, axis)
        if self.shift is None:
            return mapped
        return mapped + self.shift[(...,) + (None,) * self.trailing]
