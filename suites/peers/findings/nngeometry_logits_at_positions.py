"""Logits (N, C, H, W), which FIM_MonteCarlo takes for segmentation, end in a shape error of cat in FIM."""

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn

torch.manual_seed(0)
model = nn.Conv2d(2, 3, 1)
X = torch.randn(4, 2, 2, 2)
try:
    FIM(model, (X, X), PMatDense, "classif_logits")
    found = "a number or a refusal"
except NotImplementedError:
    found = "a number or a refusal"
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("expected: a number or a refusal")
print(f"found: {found}")
