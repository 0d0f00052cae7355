"""AdaHessian has no case for a parameter with three axes (Conv1d): it takes the estimate of the parameter before, or fails."""

import torch
from torch import nn
from torch_optimizer import Adahessian

torch.manual_seed(0)
model, found = nn.Conv1d(2, 2, 3, bias=False), "a step or a refusal"
optimizer = Adahessian(model.parameters())
loss = model(torch.rand(4, 2, 5)).square().mean()
(model.weight.grad,) = torch.autograd.grad(loss, model.weight, create_graph=True)
try:
    optimizer.step()
except NotImplementedError:
    pass
except UnboundLocalError as error:
    found = f"{type(error).__name__}: tmp_output"
print("expected: a step or a refusal")
print(f"found: {found}")
