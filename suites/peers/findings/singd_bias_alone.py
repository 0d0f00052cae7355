"""A layer of which only the bias is trained: SINGD looks its group up by the frozen weight, and fails."""

import torch
from singd.optim.optimizer import SINGD
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
model[0].weight.requires_grad_(False)
found = "a step or a refusal"
try:
    optimizer = SINGD(model)
    nn.functional.cross_entropy(model(torch.rand(5, 3)), torch.randint(2, (5,))).backward()
    optimizer.step()
except (ValueError, NotImplementedError):
    pass
except KeyError:
    found = "KeyError: the address of the frozen weight"
print("expected: a step or a refusal")
print(f"found: {found}")
