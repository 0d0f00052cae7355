"""ScalableShampoo with its defaults: a layer of at most block_size entries is merged to one axis, and never preconditioned."""

import torch
from pytorch_optimizer import ScalableShampoo
from torch import nn


def factors():
    """How many there are."""
    weight = nn.Parameter(torch.zeros(16, 16))
    weight.grad = torch.ones(16, 16)
    optimizer = ScalableShampoo([weight], start_preconditioning_step=1, preconditioning_compute_steps=1)
    optimizer.step()
    return len(optimizer.state[weight]["pre_conditioner"].pre_conditioners)


print("expected: one factor or more")
print(f"found: {'one factor or more' if factors() else 'no factor'}")
