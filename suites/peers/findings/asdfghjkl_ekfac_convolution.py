"""The shape kfe takes each position of a convolution for a sample: products between the positions of a sample are left out.

The trace of the empirical Fisher's weight block, which EKFAC has exactly, by one backward pass a sample.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(18, 3)).double()
inputs, labels = torch.randn(30, 1, 4, 4).double(), torch.arange(30) % 3
exact = 0.0
for x, y in zip(inputs, labels, strict=True):
    loss = F.cross_entropy(model(x[None]), y[None])
    exact += (torch.autograd.grad(loss, model[0].weight)[0] ** 2).sum() / 30

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kfe"], data_size=30))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model[0].fisher.kfe.scale[0].sum():.4g}")
