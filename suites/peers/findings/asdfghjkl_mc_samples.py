"""The Monte-Carlo Fisher divides by n_mc_samples before it squares: with S draws it is S times too small.

Traces, averaged over 200 seeds, of a softmax regression; the exact trace by enumeration of the labels.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

SAMPLES = 8
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3))
inputs = torch.randn(20, 4)
p = model(inputs).softmax(1).detach()
gaps = ((torch.eye(3) - p[:, None]) ** 2).sum(2)  # of each possible label, |e_c - p|^2
exact = ((p * gaps).sum(1) * (1 + (inputs**2).sum(1))).mean()

total = 0.0
for seed in range(200):
    config = FisherConfig("fisher_mc", ["full"], "cross_entropy", n_mc_samples=SAMPLES, data_size=20, seed=seed)
    maker = get_fisher_maker(model, config)
    maker.setup_model_call(model, inputs)
    maker.forward_and_backward()
    total += model.fisher.data.trace() / 200

print(f"expected: {exact:.4g}")
print(f"found: {total:.4g}")
