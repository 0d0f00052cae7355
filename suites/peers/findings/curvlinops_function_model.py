"""model_func is documented as a function that "could be a PyTorch module"; a function that is none ends in an error."""

import torch
from curvlinops import GGNLinearOperator
from torch import nn

torch.manual_seed(0)
weight = torch.randn(3, 2, requires_grad=True)
data = [(torch.randn(5, 3), torch.randn(5, 2))]
try:
    operator = GGNLinearOperator(lambda x: x @ weight, nn.MSELoss(), [weight], data)
    found = "a matrix" if (operator @ torch.eye(6)).isfinite().all() else "NaN"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a matrix")
print(f"found: {found}")
