"""K-FAC averages the inputs of samples whose label is ignored into A: a masked sample is not an absent one."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4).double()
inputs, labels = torch.randn(6, 3).double(), torch.tensor([0, 1, -100, 2, -100, -100])
loss, kept = nn.CrossEntropyLoss(reduction="sum"), labels >= 0


def weight_trace(x: torch.Tensor, y: torch.Tensor) -> float:
    """Of the library's K-FAC."""
    operator = KFACLinearOperator(model, loss, [model.weight], [(x, y)], fisher_type="empirical")
    return float(operator.trace)


a = inputs[kept].square().sum() / kept.sum()  # trace of A by definition, and of G below
g = (model(inputs[kept]).softmax(1) - nn.functional.one_hot(labels[kept], 4)).square().sum()
print(f"expected: {float(a * g):.4g}")
print(f"found: {weight_trace(inputs, labels):.4g}")
