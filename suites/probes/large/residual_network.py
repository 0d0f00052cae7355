"""A residual network of convolutions without statistics of the batch."""

import torch.nn.functional as f
from torch import Tensor, nn


class ResidualNetwork(nn.Module):
    """Three stages of one residual block each on images ``(N, 1, H, W)``, the image halved between them, then a classifier.

    Nothing is normalised, so that samples do not mix; SiLU has all derivatives, so that no step crosses a kink.

    Args:
        channels: of the three stages.
        classes: C.

    Example:
        >>> import torch
        >>> ResidualNetwork((2, 3, 4), 10)(torch.ones(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Reference:
        He, Zhang, Ren and Sun, "Identity mappings in deep residual networks", ECCV 2016, fig. 1 (b), without its
        normalisation.
    """

    def __init__(self, channels: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        first, second, third = channels
        self.stem = nn.Conv2d(1, first, 3, padding=1)
        self.first = _Block(first)
        self.to_second = nn.Conv2d(first, second, 3, stride=2, padding=1)
        self.second = _Block(second)
        self.to_third = nn.Conv2d(second, third, 3, stride=2, padding=1)
        self.third = _Block(third)
        self.head = nn.Linear(third, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, C)``."""
        x = self.first(self.stem(images))
        x = self.second(self.to_second(f.silu(x)))
        x = self.third(self.to_third(f.silu(x)))
        logits: Tensor = self.head(f.silu(x).mean((2, 3)))
        return logits


class _Block(nn.Module):
    """An image and what two convolutions make of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)
        self.outer = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        added: Tensor = self.outer(f.silu(self.inner(f.silu(images))))
        return images + added
