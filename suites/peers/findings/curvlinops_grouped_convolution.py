"""EKFAC averages the inputs of a convolution over its groups: its trace is not that of the GGN, even for one sample."""

import torch
from curvlinops import EKFACLinearOperator, GGNLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(4, 4, 2, groups=4, bias=False), nn.Flatten(), nn.Linear(16, 2)).double()
data = [(torch.randn(1, 4, 3, 3).double(), torch.randn(1, 2).double())]
weight = model[0].weight
arguments = (model, nn.MSELoss(), [weight], data)
print(f"expected: {(GGNLinearOperator(*arguments) @ torch.eye(16).double()).trace():.4g}")
print(f"found: {EKFACLinearOperator(*arguments, fisher_type='type-2').trace:.4g}")
