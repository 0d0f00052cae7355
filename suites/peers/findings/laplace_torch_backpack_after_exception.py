"""A fit with BackPackGGN fails in the model; after a fit of another model, the first one can never be fitted again."""

import torch
from laplace import Laplace
from laplace.curvature import BackPackGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
first, second = (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)) for _ in range(2))
loader = DataLoader(TensorDataset(torch.randn(5, 3), torch.randn(5, 2)), 5)
calls = []


def _out_of_memory(*_):
    calls.append(1)
    if len(calls) == 3:  # one output has been differentiated
        raise RuntimeError("out of memory")


def _fit(model):
    try:
        Laplace(model, "regression", "all", "full", backend=BackPackGGN).fit(loader)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:60]}"
    return "a posterior"


handle = first[2].register_forward_hook(_out_of_memory)
_fit(first)
handle.remove()
_fit(second)
print("expected: a posterior")
print(f"found: {_fit(first)}")
