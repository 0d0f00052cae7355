"""Parameters of a module that has children: SINGD neither trains them nor warns, although warn_unsupported=True."""

import warnings

import torch
from singd.optim.optimizer import SINGD
from torch import nn


class Scaled(nn.Module):
    """A layer, and a parameter beside it."""

    def __init__(self):
        super().__init__()
        self.layer, self.scale = nn.Linear(3, 2), nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.layer(x) * self.scale


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    SINGD(Scaled(), warn_unsupported=True)
print("expected: 1 warning")
print(f"found: {sum('un-supported' in str(w.message) for w in said)} warning")
