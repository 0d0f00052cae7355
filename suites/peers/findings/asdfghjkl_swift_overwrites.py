"""The shape swift_kron scales the inputs of a wide layer in place: the user's data are overwritten."""

import contextlib

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(40, 3))
inputs, labels = torch.randn(20, 40), torch.arange(20) % 3
before = inputs.norm()
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["swift_kron"], data_size=20))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
with contextlib.suppress(RuntimeError):  # modified by an inplace operation
    maker.forward_and_backward()

print(f"expected: {before:.4g}")
print(f"found: {inputs.norm():.4g}")
