"""PMatEKFAC has the eigenvalues of K-FAC, not those of EKFAC, until update_diag is called: its trace is not the exact one."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatEKFAC
from torch import nn

model = nn.Linear(1, 2, bias=False)
model.weight.data = torch.tensor([[1.0], [-1.0]])
X = torch.tensor([[0.1], [3.0]])
p = model(X).softmax(1)
expected = (p * (1 - p) * X**2).sum(1).mean()
found = FIM(model, (X, X), PMatEKFAC, "classif_logits").trace()
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
