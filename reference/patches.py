"""What enters a convolution at each of its output positions."""

import math
from itertools import chain

from torch import Tensor, nn
from torch.nn import functional

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


def patches(module: nn.Module, inputs: Tensor) -> Tensor:
    r"""The patches :math:`a_t` with which a convolution is a linear map at each position, :math:`W a_t + b`.

    Args:
        module: a ``Conv1d``, ``Conv2d`` or ``Conv3d`` of one group, with any stride, dilation, padding and padding mode.
        inputs: ``(N, C, ...)``.

    Returns:
        ``(N, T, D)``, positions row-major, D in the order of the columns of ``weight.flatten(1)``; the same entry of all
        patches lies together in memory.

    Example:
        >>> import torch
        >>> patches(nn.Conv1d(1, 1, 2), torch.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[1., 2.],
                 [2., 3.]]])

    Reference:
        Grosse and Martens, ICML 2016, sec. 2.2 (the "expansion" of the activations).
    """
    assert isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    padded = functional.pad(inputs, _padding(module), MODES[module.padding_mode])
    for axis, size in enumerate(module.kernel_size):
        stride, dilation = module.stride[axis], module.dilation[axis]
        padded = padded.unfold(2 + axis, dilation * (size - 1) + 1, stride)[..., ::dilation]
    axes = len(module.kernel_size)
    positions, kernel = range(2, 2 + axes), range(2 + axes, 2 + 2 * axes)
    by_entry = padded.permute(1, *kernel, 0, *positions)  # positions last: whole rows are copied
    columns = by_entry.reshape(-1, len(inputs), math.prod(by_entry.shape[-axes:]))
    return columns.permute(1, 2, 0)


def _padding(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> list[int]:
    """How much is added before and after each axis, the last axis first."""
    if module.padding == "valid":
        sides = [(0, 0) for _ in module.kernel_size]
    elif module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        sides = [(total // 2, total - total // 2) for total in totals]
    else:
        sides = [(int(p), int(p)) for p in module.padding]
    return list(chain.from_iterable(reversed(sides)))
