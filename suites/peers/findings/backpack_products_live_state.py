"""The product that GGNMP leaves on a parameter reads what the modules hold when it is called: a later forward pass changes it.

Sum of all entries of the GGN of a weight at the first data, asked after the model was evaluated at other data.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(5, 3), torch.randint(4, (5,))
model, loss = extend(nn.Linear(3, 4, bias=False)), extend(nn.CrossEntropyLoss())

p = model(x).softmax(1).detach()
v = x.sum(1, keepdim=True).expand(-1, 4) * torch.arange(4)  # J times a weight whose rows are 0, 1, 2, 3
expected = (v * (p * v - p * (p * v).sum(1, keepdim=True))).sum() / 5

with backpack(extensions.GGNMP()):
    loss(model(x), y).backward()
vector = torch.arange(4.0)[:, None].expand(4, 3)
product = model.weight.ggnmp
assert torch.isclose((vector * product(vector[None])[0]).sum(), expected)
model(3 * torch.randn(5, 3))  # the test error, say
found = (vector * product(vector[None])[0]).sum()

print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
