"""Blocks of a float64 model are summed in float32 unless the default dtype is float64: eight digits are lost."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatBlockDiag
from torch import nn

torch.manual_seed(0)
model, X = nn.Linear(3, 1, bias=False).double(), torch.randn(4, 3).double()
found = FIM(model, (X, X), PMatBlockDiag, "regression").trace().double()
right = X.pow(2).sum(1).mean()
lost = float((found - right).abs() / right)
print("expected: correct to 1e-14")
print(f"found: correct to {'1e-14' if lost < 1e-14 else '1e-8' if lost < 1e-7 else '1e-6'}")
