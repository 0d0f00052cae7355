"""The diagonal of a convolution with few positions and many channels sums squares over positions before it squares the sum.

The trace of the empirical Fisher's weight block, by one backward pass a sample.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
layers = [torch.nn.Conv2d(4, 8, 3), torch.nn.AvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(8, 3)]
model = torch.nn.Sequential(*layers).double()  # 4 positions * (8 + 36) < 8 * 36: the route that saves memory
inputs, labels = torch.randn(10, 4, 4, 4).double(), torch.arange(10) % 3
exact = 0.0
for x, y in zip(inputs, labels, strict=True):
    loss = F.cross_entropy(model(x[None]), y[None])
    exact += (torch.autograd.grad(loss, model[0].weight)[0] ** 2).sum() / 10

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["diag"], data_size=10))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model[0].fisher.diag.weight.sum():.4g}")
