"""GradientMaker.loss_hessian and its relatives differentiate frozen parameters too.

The number of parameters in the Hessian of a model whose first weight is frozen.
"""

import torch
import torch.nn.functional as F
from asdl.grad_maker import GradientMaker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 3))
model[0].weight.requires_grad_(False)
maker = GradientMaker(model)
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, torch.randn(20, 4)), torch.arange(20) % 3)
blocks = maker.loss_hessian()

print(f"expected: {sum(p.numel() for p in model.parameters() if p.requires_grad):.4g}")
print(f"found: {sum(row[i].numel() ** 0.5 for i, row in enumerate(blocks)):.4g}")
