"""A model with ``nn.MultiheadAttention``: SINGD takes its output projection for a layer, whose hook never fires, and fails."""

import warnings

import torch
from singd.optim.optimizer import SINGD
from torch import nn


class Model(nn.Module):
    """Attention and a classifier."""

    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0].mean(1))


torch.manual_seed(0)
model, found = Model(), "a step, a warning or a refusal"
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    try:
        optimizer = SINGD(model)
        nn.functional.cross_entropy(model(torch.rand(5, 3, 4)), torch.randint(2, (5,))).backward()
        optimizer.step()
    except (ValueError, NotImplementedError):
        pass
    except KeyError as error:
        found = f"KeyError: {error} in step, {len(said)} warnings before"
print("expected: a step, a warning or a refusal")
print(f"found: {found}")
