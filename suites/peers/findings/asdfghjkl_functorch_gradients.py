"""GradientMaker.loss_hvp(accumulate_grad=True) pairs gradients of all parameters with the trained ones: frozen ones shift them.

The norm of the gradient of the second weight, of a model whose first one is frozen.
"""

import torch
import torch.nn.functional as F
from asdl.grad_maker import GradientMaker

torch.manual_seed(0)
first, last = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
model = torch.nn.Sequential(first, torch.nn.Tanh(), last)
first.weight.requires_grad_(False)
inputs, labels = torch.randn(20, 3), torch.arange(20) % 3
exact = torch.autograd.grad(F.cross_entropy(model(inputs), labels), last.weight)[0].norm()
maker = GradientMaker(model)
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.loss_hvp()

print(f"expected: {exact:.4g}")
print(f"found: {last.weight.grad.norm():.4g}")
