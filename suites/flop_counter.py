"""Floating-point operations as torch counts them."""

from typing import Any

from torch.utils.flop_counter import FlopCounterMode


class _NoModules:
    """Stands in for the tracker of modules: everything belongs to the whole."""

    parents = frozenset({"Global"})

    def __enter__(self) -> "_NoModules":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class FlopCounter(FlopCounterMode):
    """torch's counter of operations in matrix products and convolutions, without its table by modules.

    To fill that table torch puts hooks on the tensors that enter modules, with which some uses of autograd fail that are
    right without them: gradients with respect to the inputs of a module, for instance.

    Args:
        custom_mapping: further operators and their counts.

    Example:
        >>> import torch
        >>> with FlopCounter() as counter:
        ...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
        >>> counter.get_total_flops()
        48
    """

    def __init__(self, custom_mapping: dict[Any, Any] | None = None) -> None:
        super().__init__(display=False, custom_mapping=custom_mapping)
        self.mod_tracker = _NoModules()  # type: ignore[assignment]
