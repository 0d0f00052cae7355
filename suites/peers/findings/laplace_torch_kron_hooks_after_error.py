"""A forward pass that fails while Kronecker factors are computed leaves hooks of the default backend on the user's model."""

from contextlib import suppress

import torch
from laplace import Laplace
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
loader = DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5)


def _out_of_memory(*_):
    if torch.is_grad_enabled():  # not in the first pass, which asks for the number of outputs
        raise RuntimeError("out of memory")


handle = model[2].register_forward_hook(_out_of_memory)
with suppress(RuntimeError):
    Laplace(model, "regression", "all", "kron").fit(loader)
handle.remove()
hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
print("expected: 0")
print(f"found: {hooks}")
