"""K-FAC counts one loss term for all outputs (N,) together, and says that one is not divisible by the number of data."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
data = [(torch.randn(5, 3), torch.randn(5))]
try:
    operator = KFACLinearOperator(model, nn.MSELoss(), list(model.parameters()), data, fisher_type="type-2")
    found = "a matrix or a refusal" if (operator @ torch.eye(4)).isfinite().all() else "NaN"
except NotImplementedError:
    found = "a matrix or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a matrix or a refusal")
print(f"found: {found}")
