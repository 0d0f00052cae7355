"""K-FAC of type 2 evaluates p (1 - p) of a binary label in float32: zero from log-odds of 17, while those of -17 are right."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

model = nn.Linear(1, 1, bias=False)
nn.init.constant_(model.weight, 20.0)
data = [(torch.ones(1, 1), torch.ones(1, 1))]
operator = KFACLinearOperator(model, nn.BCEWithLogitsLoss(), [model.weight], data, fisher_type="type-2")
exact = torch.tensor(20.0).double().sigmoid() * torch.tensor(-20.0).double().sigmoid()
print(f"expected: {exact:.4g}")
print(f"found: {operator.trace:.4g}")
