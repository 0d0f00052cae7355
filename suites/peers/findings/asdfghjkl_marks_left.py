"""Each call leaves a mark on every parameter (_original_requires_grad), which nothing documents or takes away."""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3))
maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["full"], "cross_entropy", data_size=20))
maker.setup_model_call(model, torch.randn(20, 4))
maker.forward_and_backward()
maker.zero_fisher()

print("expected: []")
print(f"found: {sorted(vars(model[0].weight))}")
