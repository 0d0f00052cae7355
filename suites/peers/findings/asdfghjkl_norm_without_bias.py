"""A LayerNorm without bias crashes: the bias is taken off the outputs without asking whether there is one."""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.LayerNorm(3, bias=False))
inputs, labels = torch.randn(20, 3), torch.arange(20) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=20))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
try:
    maker.forward_and_backward()
    found = "a number or a refusal"
except TypeError as error:
    found = f"TypeError: {str(error)[:60]}"

print("expected: a number or a refusal")
print(f"found: {found}")
