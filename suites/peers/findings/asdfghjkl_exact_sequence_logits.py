"""The exact Fisher crashes on logits (N, T, C), which the documentation of the interface uses for language models (case 5)."""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(2, 4))
inputs = torch.randn(10, 3, 2)
maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["diag"], "cross_entropy", data_size=30))
maker.setup_model_call(model, inputs)
try:
    maker.forward_and_backward()
    found = "a number or a refusal"
except RuntimeError as error:
    found = f"RuntimeError: {str(error)[:60]}"

print("expected: a number or a refusal")
print(f"found: {found}")
