"""NewtonGradientMaker adds its damping to the Hessian that it leaves on the model, and again at each step of an accumulation.

The trace of model.hessian after a step, for least squares.
"""

import torch
import torch.nn.functional as F
from asdl.precondition import NewtonGradientMaker
from asdl.precondition.newton import NewtonGradientConfig

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 1, bias=False))
inputs, targets = torch.randn(20, 4), torch.randn(20, 1)
maker = NewtonGradientMaker(model, NewtonGradientConfig(damping=10.0))
maker.setup_loss_call(F.mse_loss, maker.setup_model_call(model, inputs), targets)
maker.forward_and_backward()

print(f"expected: {2 * (inputs**2).sum() / 20:.4g}")
print(f"found: {model.hessian.data.trace():.4g}")
