"""The estimate of a Frobenius norm transposes wide operators by .T, which no operator of the library has."""

import torch
from curvlinops import JacobianLinearOperator, hutchinson_squared_fro
from torch import nn

torch.manual_seed(0)
model = nn.Linear(30, 1)
jacobian = JacobianLinearOperator(model, list(model.parameters()), [(torch.randn(5, 30), torch.zeros(5, 1))])
try:
    found = "a number" if hutchinson_squared_fro(jacobian, num_matvecs=2).isfinite() else "NaN"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a number")
print(f"found: {found}")
