"""With loss_average="batch+sequence" SINGD counts the positions of the layer, not those of the loss.

Six positions, averaged in pairs, then a mean over N x 3 labels: G against gradients of the labels' own losses."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
layer, x, y = nn.Linear(2, 3), torch.rand(4, 6, 2), torch.randint(3, (4, 3))
outputs = layer(x)
pooled = outputs.view(4, 3, 2, 3).mean(2)
losses = nn.functional.cross_entropy(pooled.flatten(0, 1), y.flatten(), reduction="sum")  # each term has its own positions
(g,) = torch.autograd.grad(losses, outputs)
G = torch.einsum("npi,npj->ij", g, g) / y.numel()

optimizer = SINGD(layer, loss_average="batch+sequence")
pooled = layer(x).view(4, 3, 2, 3).mean(2)
nn.functional.cross_entropy(pooled.flatten(0, 1), y.flatten()).backward()
print(f"expected: {G.trace():.4g}")
print(f"found: {optimizer.H_Cs[''].to_dense().trace():.4g}")
