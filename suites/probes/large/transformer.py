"""A small transformer whose trained parameters all belong to linear layers."""

import math

import torch
import torch.nn.functional as f
from torch import Tensor, nn


class Transformer(nn.Module):
    """Attention and feed-forward blocks with residuals on ``(N, T, D)``, normalised before each.

    Normalisation has no parameters of its own and positions are marked by fixed waves, so that Kronecker factors exist for
    every parameter. Attention is written out in matrix products, which have all derivatives.

    Args:
        features: D of the inputs; a linear layer takes the place of an embedding.
        width: of the blocks, a multiple of ``heads``.
        blocks: how many.
        heads: of the attention.
        classes: C.
        pooled: one prediction for a sample, from the mean over positions; otherwise one at each position, which sees no
            later one.

    Example:
        >>> Transformer(3, 4, 1, 2, 5, pooled=False)(torch.ones(6, 7, 3)).shape
        torch.Size([6, 5, 7])
        >>> Transformer(3, 4, 1, 2, 5, pooled=True)(torch.ones(6, 7, 3)).shape
        torch.Size([6, 5])

    Reference:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, sec. 3; normalisation first: Xiong et al., "On layer
        normalization in the transformer architecture", ICML 2020.
    """

    def __init__(self, features: int, width: int, blocks: int, heads: int, classes: int, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.embedding = nn.Linear(features, width)
        self.blocks = nn.ModuleList(_Block(width, heads, causal=not pooled) for _ in range(blocks))
        self.head = nn.Linear(width, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(N, C, T)``, or ``(N, C)`` of samples."""
        x = self.embedding(inputs)
        x = x + _waves(x)
        for block in self.blocks:
            x = block(x)
        x = _normalised(x)
        logits: Tensor = self.head(x.mean(1)) if self.pooled else self.head(x).mT
        return logits


class _Block(nn.Module):
    """Attention, then a feed-forward network of four times the width."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mix = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        entering = _normalised(x)
        query, key, value = (self._by_head(part(entering)) for part in (self.query, self.key, self.value))
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        seen = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        x = x + self.mix(seen)
        added: Tensor = self.narrow(f.gelu(self.widen(_normalised(x))))
        return x + added

    def _by_head(self, x: Tensor) -> Tensor:
        """``(N, T, D)`` as ``(N, heads, T, D / heads)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _normalised(x: Tensor) -> Tensor:
    return f.layer_norm(x, x.shape[-1:])


def _waves(x: Tensor) -> Tensor:
    """Sines of each position, a frequency for each feature, ``(T, D)``."""
    positions = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
    frequencies = torch.logspace(0, -2, x.shape[2], device=x.device, dtype=x.dtype)
    return torch.outer(positions + 1, frequencies).sin()
