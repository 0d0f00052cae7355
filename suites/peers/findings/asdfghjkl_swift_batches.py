"""Thin factors of batches (swift_kron, accumulate=True) are added row by row: uneven batches crash, even ones mix samples."""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8, bias=False))
inputs, labels = torch.randn(7, 4), torch.arange(7) % 8
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["swift_kron"], data_size=7))
try:
    for part in (slice(0, 4), slice(4, 7)):
        maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs[part]), labels[part])
        maker.forward_and_backward(accumulate=part.start > 0)
    found = "a factorisation or a refusal"
except RuntimeError as error:
    found = f"RuntimeError: {str(error)[:60]}"

print("expected: a factorisation or a refusal")
print(f"found: {found}")
