"""With class probabilities as targets the empirical Fisher ends in an error of shapes: it flattens them like labels."""

import torch
from curvlinops import EFLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 5)
data = [(torch.randn(6, 3), torch.randn(6, 5).softmax(1))]
try:
    operator = EFLinearOperator(model, nn.CrossEntropyLoss(), list(model.parameters()), data)
    found = "a matrix" if (operator @ torch.eye(20)).isfinite().all() else "NaN"
except NotImplementedError:
    found = "a matrix"  # or a refusal
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a matrix")
print(f"found: {found}")
