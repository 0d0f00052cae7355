"""from_state_dict makes a loss of the same class and reduction alone: class weights, ignore_index and smoothing are lost."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2).double()
data = [(torch.randn(5, 3).double(), torch.tensor([0, 1, 0, 1, 1]))]
loss = nn.CrossEntropyLoss(torch.tensor([1.0, 10.0]).double(), reduction="sum")
options = {"fisher_type": "empirical", "check_deterministic": False}
saved = KFACLinearOperator(model, loss, [model.bias], data, **options).state_dict()  # before the factors are computed
again = KFACLinearOperator.from_state_dict(saved, model, [model.bias], data)
print(f"expected: {KFACLinearOperator(model, loss, [model.bias], data, **options).trace:.4g}")
print(f"found: {again.trace:.4g}")
