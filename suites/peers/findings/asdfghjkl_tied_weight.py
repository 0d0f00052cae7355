"""Two layers that share one weight are taken for two weights: the full Fisher has a row for each, P + 9 in all."""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 3))
model[2].weight = model[0].weight
inputs = torch.randn(10, 3)
maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["full"], "mse", data_size=10))
maker.setup_model_call(model, inputs)
maker.forward_and_backward()

print(f"expected: {sum(p.numel() for p in model.parameters()):.4g}")
print(f"found: {len(model.fisher.data):.4g}")
