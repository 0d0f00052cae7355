"""asdl.jacobian always crashes: it looks for an attribute of parameters that nothing sets."""

import torch
from asdl import jacobian

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3))
try:
    found = str(tuple(jacobian(model, torch.randn(20, 4)).shape))
except AttributeError as error:
    found = f"AttributeError: {error}"

print("expected: (20, 3, 15)")
print(f"found: {found}")
