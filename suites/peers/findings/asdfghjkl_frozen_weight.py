"""KfacGradientMaker cannot be made for a layer with a frozen weight and a trained bias: a name is not assigned."""

import torch
from asdl.precondition import KfacGradientMaker, PreconditioningConfig

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 3))
model[0].weight.requires_grad_(False)
try:
    KfacGradientMaker(model, PreconditioningConfig(data_size=20, damping=1.0), fisher_type="fisher_emp")
    found = "a maker or a refusal"
except UnboundLocalError as error:
    found = f"UnboundLocalError: {str(error)[:60]}"

print("expected: a maker or a refusal")
print(f"found: {found}")
