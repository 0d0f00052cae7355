"""A confident binary classifier, log-odds 18 in float32: p (1 - p) rounds to zero for one sign, and is right for the other."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

model = nn.Linear(1, 1, bias=False)
model.weight.data.fill_(18.0)
X = torch.ones(1, 1)
logit = model(X).detach()
expected = (torch.sigmoid(logit) * torch.sigmoid(-logit)).item()
found = FIM(model, (X, X), PMatDense, "classif_binary_logits").trace()
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
