"""Layers that are not supported are left out without a word: with a Conv1d the full Fisher is smaller than (P, P)."""

import warnings

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 2), torch.nn.Flatten(), torch.nn.Linear(6, 3))
inputs, labels = torch.randn(10, 1, 4), torch.arange(10) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=10))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
expected = sum(p.numel() for p in model.parameters())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    maker.forward_and_backward()
said = any("Conv1d" in str(item.message) for item in caught)
found = expected if said else len(model.fisher.data)

print(f"expected: {expected:.4g}")
print(f"found: {found:.4g}")
