"""After an exception in the backward pass all parameters stay frozen: requires_grad is not put back.

The number of trained parameters after a refusal (unit_wise, of a normalisation whose bias is frozen), which a caller may catch.
"""

import contextlib

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.LayerNorm(4), torch.nn.Linear(4, 3))
model[0].bias.requires_grad_(False)
maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["unit_wise"], "cross_entropy", data_size=20))
maker.setup_model_call(model, torch.randn(20, 4))
before = sum(p.requires_grad for p in model.parameters())
with contextlib.suppress(ValueError):  # both weight and bias have to require grad
    maker.forward_and_backward()

print(f"expected: {before:.4g}")
print(f"found: {sum(p.requires_grad for p in model.parameters()):.4g}")
