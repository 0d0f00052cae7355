"""A confident softmax in single precision: p - p p' by subtraction; the GGN's entry of the certain class, logits 18 apart."""

import math

import torch
from laplace.curvature import CurvlinopsGGN
from torch import nn

model = nn.Sequential(nn.Linear(1, 2, bias=False))
model[0].weight.data = torch.tensor([[18.0], [0.0]])
found = CurvlinopsGGN(model, "classification").full(torch.ones(1, 1), torch.tensor([0]), N=1)[1]
p = 1 / (1 + math.exp(18.0))
print(f"expected: {p * (1 - p):.4g}")
print(f"found: {float(found[0, 0]):.4g}")
