"""The empirical Fisher of a mean is too large by the number of labels over the number that are not ignored."""

import torch
from curvlinops import EFLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4).double()
inputs, labels = torch.randn(6, 3).double(), torch.tensor([0, 1, -100, 2, -100, -100])
kept = labels >= 0


def trace(x: torch.Tensor, y: torch.Tensor) -> float:
    """Of the library's empirical Fisher."""
    operator = EFLinearOperator(model, nn.CrossEntropyLoss(), list(model.parameters()), [(x, y)])
    return float((operator @ torch.eye(16).double()).trace())


squares = 0.0  # the mean over the labels that count of the squared gradients of their terms
for x, y in zip(inputs[kept], labels[kept], strict=True):
    gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), model.parameters())
    squares += sum(float(gradient.square().sum()) for gradient in gradients)
print(f"expected: {squares / int(kept.sum()):.4g}")
print(f"found: {trace(inputs, labels):.4g}")
