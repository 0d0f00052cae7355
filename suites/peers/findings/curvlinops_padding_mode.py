"""K-FAC takes padding_mode="circular" for zeros: A of a convolution of one sample."""

import torch
from curvlinops import KFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False), nn.Flatten(), nn.Linear(16, 2))
model = model.double()
x = torch.randn(1, 1, 4, 4).double()

padded = nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
patches = nn.functional.unfold(padded, 3)[0]  # (9, 16)

weight = model[0].weight
operator = KFACLinearOperator(
    model, nn.MSELoss(), [weight], [(x, torch.zeros(1, 2).double())], fisher_type="forward-only"
)  # G = 1
print(f"expected: {patches.square().sum() / 16:.4g}")
print(f"found: {operator.trace:.4g}")
