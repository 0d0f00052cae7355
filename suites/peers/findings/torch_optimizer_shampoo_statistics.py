"""Shampoo's R is summed from the gradient that L has already preconditioned, not from the gradient."""

import torch
from torch import nn
from torch_optimizer import Shampoo

torch.manual_seed(0)
weight = nn.Parameter(torch.randn(3, 2))
weight.grad = 10 * torch.randn(3, 2)
gradient = weight.grad.clone()
optimizer = Shampoo([weight], epsilon=1e-6)
optimizer.step()
assert torch.allclose(optimizer.state[weight]["precond_0"], gradient @ gradient.T, atol=1e-3)
print(f"expected: {(gradient.T @ gradient).trace():.4g}")
print(f"found: {optimizer.state[weight]['precond_1'].trace():.4g}")
