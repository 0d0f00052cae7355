"""The Monte-Carlo Fisher of a Gaussian with variance var is multiplied by var, where it is divided by it.

One output f = w x: the Fisher is mean(x^2) / var. The trace, averaged over 200 seeds.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

VARIANCE = 4.0
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False))
inputs = torch.randn(100, 1)
exact = (inputs**2).mean() / VARIANCE

total = 0.0
for seed in range(200):
    maker = get_fisher_maker(model, FisherConfig("fisher_mc", ["full"], "mse", var=VARIANCE, data_size=100, seed=seed))
    maker.setup_model_call(model, inputs)
    maker.forward_and_backward()
    total += model.fisher.data.trace() / 200

print(f"expected: {exact:.4g}")
print(f"found: {total:.4g}")
