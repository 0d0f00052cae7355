"""K-FAC of type 2 leaves out weight and pos_weight of a binary cross-entropy that it is given."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2).double()
inputs, labels = torch.randn(6, 3).double(), torch.tensor([[0, 1], [1, 1], [1, 0], [0, 0], [1, 1], [0, 1]]).double()
loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([10.0, 5.0]).double(), reduction="sum")

bias = model.bias.detach()  # the block of a bias is exact in K-FAC
hessian = torch.func.hessian(lambda b: loss(inputs @ model.weight.detach().T + b, labels))(bias)

operator = KFACLinearOperator(model, loss, [model.bias], [(inputs, labels)], fisher_type="type-2")
print(f"expected: {hessian.trace():.4g}")
print(f"found: {operator.trace:.4g}")
