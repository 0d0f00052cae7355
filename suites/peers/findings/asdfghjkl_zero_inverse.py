"""A matrix of zeros gets no damped inverse: FullNaturalGradientMaker crashes instead of dividing by the damping."""

import torch
import torch.nn.functional as F
from asdl.precondition import FullNaturalGradientMaker, PreconditioningConfig

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 2))
inputs = torch.randn(20, 4)
targets = model(inputs).detach()  # interpolation: the empirical Fisher is zero
config = PreconditioningConfig(data_size=20, damping=0.1, ema_decay=0.9)
maker = FullNaturalGradientMaker(model, config, fisher_type="fisher_emp")
maker.setup_loss_call(F.mse_loss, maker.setup_model_call(model, inputs), targets)
try:
    maker.forward_and_backward()
    found = "a gradient"
except TypeError as error:
    found = f"TypeError: {str(error)[:60]}"

print("expected: a gradient")
print(f"found: {found}")
