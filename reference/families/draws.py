"""Draws from a torch distribution by a generator of one's own."""

import torch
from torch import Tensor
from torch.distributions import Distribution

from fishergauge.reference.errors import UnsupportedError


def drawn(distribution: Distribution, draws: int, generator: torch.Generator) -> Tensor:
    """Values of a distribution, which leave the global generator as it was.

    ``torch.distributions`` draws from the global generator and takes no other. It is seeded from ``generator``
    here, used, and put back.

    Args:
        distribution: any that can be sampled, on the CPU or a CUDA device.
        draws: S.
        generator: on any device; one number is drawn from it, so that successive calls differ.

    Returns:
        ``(S, *batch_shape, *event_shape)``.

    Raises:
        UnsupportedError: the distribution lives on another kind of device.

    Example:
        >>> before = torch.get_rng_state()
        >>> values = drawn(torch.distributions.Normal(0.0, 1.0), 3, torch.Generator().manual_seed(0))
        >>> values.shape, torch.equal(before, torch.get_rng_state())
        (torch.Size([3]), True)
    """
    device = _device(distribution)
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the other devices too
            return distribution.sample(torch.Size([draws]))
    if device.type == "cuda":
        with torch.random.fork_rng(devices=[device]), torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
            return distribution.sample(torch.Size([draws]))
    raise UnsupportedError(f"draws on a device of type {device.type!r} cannot be seeded here; use the CPU or CUDA")


def _device(distribution: Distribution) -> torch.device:
    """Where its parameters are."""
    pending: list[object] = [distribution]
    while pending:
        for value in vars(pending.pop()).values():
            if isinstance(value, Tensor):
                return value.device
            if isinstance(value, Distribution):
                pending.append(value)
    return torch.device("cpu")
