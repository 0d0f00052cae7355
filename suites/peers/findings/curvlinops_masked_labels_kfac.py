"""K-FAC of type 2 counts labels that the loss ignores: trace of the block of the last bias, at ignore_index."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4).double()
inputs, labels = torch.randn(6, 3).double(), torch.tensor([0, 1, -100, 2, -100, -100])
loss = nn.CrossEntropyLoss(reduction="sum")

# the block of a bias is exact in K-FAC: the Hessian of the loss in the bias
bias = model.bias.detach()
hessian = torch.func.hessian(lambda b: loss(inputs @ model.weight.detach().T + b, labels))(bias)

operator = KFACLinearOperator(model, loss, [model.bias], [(inputs, labels)], fisher_type="type-2")
print(f"expected: {hessian.trace():.4g}")
print(f"found: {operator.trace:.4g}")
