"""centering=True is refused by some representations and ignored without a word by K-FAC, EKFAC and the implicit one."""

import torch
from nngeometry.backend import TorchHooksJacobianBackend
from nngeometry.object import PMatImplicit
from torch import nn

torch.manual_seed(0)
model, X = nn.Linear(3, 1), torch.randn(4, 3)
gradients = torch.cat([X, torch.ones(4, 1)], 1)
expected = (gradients - gradients.mean(0)).pow(2).sum() / 4
try:
    found = f"{PMatImplicit(TorchHooksJacobianBackend(model, centering=True), examples=(X, X)).trace():.4g}"
except NotImplementedError:
    found = f"{expected:.4g}"  # a refusal is as good
print(f"expected: {expected:.4g}")
print(f"found: {found}")
