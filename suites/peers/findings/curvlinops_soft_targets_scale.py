"""With class probabilities as targets, K-FAC of type 2 is C times too large under a mean: it counts N C loss terms."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 5).double()
inputs, targets = torch.randn(6, 3).double(), torch.randn(6, 5).double().softmax(1)
loss = nn.CrossEntropyLoss()

bias = model.bias.detach()  # the block of a bias is exact in K-FAC
hessian = torch.func.hessian(lambda b: loss(inputs @ model.weight.detach().T + b, targets))(bias)

operator = KFACLinearOperator(model, loss, [model.bias], [(inputs, targets)], fisher_type="type-2")
print(f"expected: {hessian.trace():.4g}")
print(f"found: {operator.trace:.4g}")
