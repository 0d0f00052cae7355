"""Conv2d with padding_mode 'circular', 'reflect' or 'replicate' is accepted, and computed with zeros around the image.

The trace of the empirical Fisher's weight block, by one backward pass a sample.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
first = torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
model = torch.nn.Sequential(first, torch.nn.Flatten(), torch.nn.Linear(18, 3)).double()
inputs, labels = torch.randn(10, 1, 3, 3).double(), torch.arange(10) % 3
exact = 0.0
for x, y in zip(inputs, labels, strict=True):
    loss = F.cross_entropy(model(x[None]), y[None])
    exact += (torch.autograd.grad(loss, first.weight)[0] ** 2).sum() / 10

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["layer_wise"], data_size=10))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {first.fisher.data.diagonal()[:18].sum():.4g}")
