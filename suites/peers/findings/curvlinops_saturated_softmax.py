"""The GGN of a confident softmax in float32 loses p (1 - p) of the likely class to cancellation: zero from a gap of 17."""

import torch
from curvlinops import GGNLinearOperator
from torch import nn

model = nn.Linear(1, 2, bias=False)
with torch.no_grad():
    model.weight[:] = torch.tensor([[20.0], [0.0]])
data = [(torch.ones(1, 1), torch.zeros(1, dtype=torch.long))]
operator = GGNLinearOperator(model, nn.CrossEntropyLoss(), [model.weight], data)
exact = torch.tensor(20.0).double().sigmoid() * torch.tensor(-20.0).double().sigmoid()
print(f"expected: {exact:.4g}")
print(f"found: {(operator @ torch.eye(2))[0, 0]:.4g}")
