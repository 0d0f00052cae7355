"""Conv2d with groups is accepted, and computed as if every input channel met every output channel.

The trace of the empirical Fisher's weight block, by one backward pass a sample.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(2, 2, 2, groups=2), torch.nn.Flatten(), torch.nn.Linear(8, 3)).double()
inputs, labels = torch.randn(10, 2, 3, 3).double(), torch.arange(10) % 3
exact = 0.0
for x, y in zip(inputs, labels, strict=True):
    loss = F.cross_entropy(model(x[None]), y[None])
    exact += (torch.autograd.grad(loss, model[0].weight)[0] ** 2).sum() / 10

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["diag"], data_size=10))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model[0].fisher.diag.weight.sum():.4g}")
