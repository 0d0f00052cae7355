"""A layer that is called twice pairs the gradients of both calls with the inputs of the last.

The trace of the empirical Fisher, by one backward pass a sample.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
layer = torch.nn.Linear(3, 3)
model = torch.nn.Sequential(layer, torch.nn.Tanh(), layer).double()
inputs, labels = torch.randn(10, 3).double(), torch.arange(10) % 3
exact = 0.0
for x, y in zip(inputs, labels, strict=True):
    grads = torch.autograd.grad(F.cross_entropy(model(x[None]), y[None]), list(model.parameters()))
    exact += sum((g**2).sum() for g in grads) / 10

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=10))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model.fisher.data.trace():.4g}")
