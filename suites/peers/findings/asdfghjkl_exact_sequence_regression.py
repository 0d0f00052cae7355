"""The exact Fisher of squared error on outputs (N, T, C) takes positions for outputs, and leaves those behind the C-th out.

The trace, whose outputs f = w x at every position have the Fisher sum x x' / data_size each; T = 5, C = 2.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False))
inputs = torch.randn(10, 5, 3)
exact = 2 * (inputs**2).sum() / 10

maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["full"], "mse", data_size=10))
maker.setup_model_call(model, inputs)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model.fisher.data.trace():.4g}")
