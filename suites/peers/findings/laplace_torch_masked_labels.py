"""Labels that the documented loss nn.CrossEntropyLoss() ignores (-100) are counted: trace of the diagonal GGN."""

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
inputs, labels = torch.randn(6, 3), torch.tensor([0, -100, 2, 1, -100, -100])
expected = 0.0
for x, label in zip(inputs, labels, strict=True):
    p = model(x).softmax(0).detach()
    for c in range(3) if label != -100 else ():  # the sum over labels of p_c |grad log p_c|^2
        gradients = torch.autograd.grad(model(x).log_softmax(0)[c], list(model.parameters()))
        expected += float(p[c] * sum((g**2).sum() for g in gradients))
laplace = Laplace(model, "classification", "all", "diag")
laplace.fit(DataLoader(TensorDataset(inputs, labels), 6))
print(f"expected: {expected:.4g}")
print(f"found: {float(laplace.H.sum()):.4g}")
