"""A confident classifier, a logit ahead by 25: the Fisher is NaN in float32, since 1 - p_1 - ... is no longer positive."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

model = nn.Linear(3, 3, bias=False)
model.weight.data = 25 * torch.eye(3)
X = torch.eye(3)
p = model(X).double().softmax(1).detach()
others = torch.stack([p[:, [1, 2]].sum(1), p[:, [0, 2]].sum(1), p[:, [0, 1]].sum(1)], 1)  # 1 - p without cancellation
expected = (p * others).sum(1).mean()
found = FIM(model, (X, X), PMatDense, "classif_logits").trace()
print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
