"""A Linear on (N, T, D) takes each position for a sample: where a sample has one loss, products between its positions are lost.

The trace of the empirical Fisher, with the mean over positions before the loss, by one backward pass a sample.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
layer = torch.nn.Linear(2, 3)
model = torch.nn.Sequential(layer).double()
inputs, labels = torch.randn(10, 4, 2).double(), torch.arange(10) % 3
call = lambda x: layer(x).mean(1)  # noqa: E731
exact = 0.0
for x, y in zip(inputs, labels, strict=True):
    grads = torch.autograd.grad(F.cross_entropy(call(x[None]), y[None]), list(layer.parameters()))
    exact += sum((g**2).sum() for g in grads) / 10

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["layer_wise"], data_size=10))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(call, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {layer.fisher.data.trace():.4g}")
