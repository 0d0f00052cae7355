"""EKFAC crashes on a convolution with fewer positions in all than entries of a kernel: a view of strided memory."""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(4, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 3))
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kfe"], data_size=5))
outputs = maker.setup_model_call(model, torch.randn(5, 4, 4, 4))  # 5 images of 4 positions, 36 entries
maker.setup_loss_call(torch.nn.CrossEntropyLoss(), outputs, torch.arange(5) % 3)
try:
    maker.forward_and_backward()
    found = "an eigenbasis"
except RuntimeError as error:
    found = f"RuntimeError: {str(error)[:60]}"

print("expected: an eigenbasis")
print(f"found: {found}")
