"""EkfacGradientMaker does not precondition: it overrides methods that nobody calls, and its gradient is the plain one.

The ratio of the norm of its gradient to that of the plain gradient; damped by 1000, both factors of any EKFAC give 0.001.
"""

import torch
import torch.nn.functional as F
from asdl.precondition import EkfacGradientMaker, PreconditioningConfig

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3))
inputs, labels = torch.randn(20, 4), torch.arange(20) % 3
F.cross_entropy(model(inputs), labels).backward()
plain = model[0].weight.grad.norm()

model.zero_grad()
maker = EkfacGradientMaker(model, PreconditioningConfig(data_size=20, damping=1000.0), fisher_type="fisher_emp")
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {1e-3:.4g}")
print(f"found: {model[0].weight.grad.norm() / plain:.4g}")
