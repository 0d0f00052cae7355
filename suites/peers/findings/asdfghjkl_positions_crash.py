"""A model whose layers see different numbers of positions has no full Fisher: the rows of its layers do not fit."""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
first, last = torch.nn.Linear(2, 3), torch.nn.Linear(3, 3)
model = torch.nn.Sequential(first, last)
inputs, labels = torch.randn(10, 4, 2), torch.arange(10) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=10))
outputs = maker.setup_model_call(lambda x: last(first(x).mean(1)), inputs)
maker.setup_loss_call(F.cross_entropy, outputs, labels)
try:
    maker.forward_and_backward()
    found = "a number or a refusal"
except RuntimeError as error:
    found = f"RuntimeError: {str(error)[:60]}"

print("expected: a number or a refusal")
print(f"found: {found}")
