"""Shampoo's exponent is -1/k for a parameter with k axes; that of the paper it names is -1/(2k).

A vector: the first step is g over its norm in the paper (algorithm 2), and g over its squared norm here."""

import torch
from torch import nn
from torch_optimizer import Shampoo

bias = nn.Parameter(torch.zeros(3, dtype=torch.float64))
bias.grad = torch.tensor([3.0, 4.0, 12.0], dtype=torch.float64)
norm = bias.grad.norm().item()
Shampoo([bias], lr=1.0, epsilon=1e-9).step()
print(f"expected: {norm / norm:.4g}")
print(f"found: {bias.norm():.4g}")
