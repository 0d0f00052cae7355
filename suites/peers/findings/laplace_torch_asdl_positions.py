"""AsdlGGN takes positions that are averaged before the loss for data of their own: trace of the diagonal GGN."""

import torch
from laplace import Laplace
from laplace.curvature import AsdlGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Pooled(nn.Module):
    """A layer at each position, the mean of the positions, a layer."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.first(x).tanh().mean(1))


torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = Pooled()
inputs, targets = torch.randn(5, 3, 3), torch.randn(5, 2)
expected = 0.0
for output in model(inputs).reshape(-1):
    gradients = torch.autograd.grad(output, list(model.parameters()), retain_graph=True)
    expected += float(sum((g**2).sum() for g in gradients))
laplace = Laplace(model, "regression", "all", "diag", backend=AsdlGGN)
laplace.fit(DataLoader(TensorDataset(inputs, targets), 5))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H.sum()):.4g}")
