"""The check for determinism, on by default, draws a vector from torch's global generator: later draws of the user differ."""

import torch
from curvlinops import HessianLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
data = [(torch.randn(5, 3), torch.randn(5, 2))]
before = torch.random.get_rng_state()
HessianLinearOperator(model, nn.MSELoss(), list(model.parameters()), data)
same = torch.equal(before, torch.random.get_rng_state())
print("expected: random state as before")
print(f"found: random state {'as before' if same else 'advanced'}")
