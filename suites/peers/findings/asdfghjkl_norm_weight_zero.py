"""The inputs of a normalisation are restored by a division by its weight: a weight of zero makes its Fisher NaN.

Zero is how the last normalisation of a residual block is commonly initialised. The trace, by one backward pass a sample.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
norm = torch.nn.LayerNorm(3)
torch.nn.init.zeros_(norm.weight)
model = torch.nn.Sequential(norm)
inputs, labels = torch.randn(20, 3), torch.arange(20) % 3
exact = 0.0
for x, y in zip(inputs, labels, strict=True):
    grads = torch.autograd.grad(F.cross_entropy(model(x[None]), y[None]), list(model.parameters()))
    exact += sum((g**2).sum() for g in grads) / 20

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=20))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model.fisher.data.trace():.4g}")
