"""Shampoo with preconditioning_compute_steps=2: inverse roots are zeros at first, and step one does nothing."""

import torch
from pytorch_optimizer import Shampoo
from torch import nn


def first_step(every):
    """How far it goes."""
    weight = nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    Shampoo([weight], lr=1.0, preconditioning_compute_steps=every).step()
    return weight.norm()


print(f"expected: {first_step(1):.4g}")
print(f"found: {first_step(2):.4g}")
