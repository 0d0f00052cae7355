"""SINGD ignores ``padding_mode``: it unfolds every convolution's input with zeros.

A of a circular convolution, against patches of the input that torch has padded itself."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
x = torch.rand(4, 1, 5, 5) + 1
patches = nn.functional.unfold(nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), 3).transpose(1, 2).reshape(-1, 9)
assert torch.allclose(patches @ layer.weight.flatten(), layer(x).flatten(), atol=1e-5)
A = patches.T @ patches / len(patches)

optimizer = SINGD(layer, loss_average="batch")
layer(x).mean().backward()
print(f"expected: {A.trace():.4g}")
print(f"found: {optimizer.H_Ks[''].to_dense().trace():.4g}")
