"""After an exception in the loss the user's loss module keeps reduction='sum', which the library had set for its own use."""

import contextlib

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model, loss = torch.nn.Sequential(torch.nn.Linear(4, 3)), torch.nn.CrossEntropyLoss()
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["diag"], data_size=20))
maker.setup_loss_call(loss, maker.setup_model_call(model, torch.randn(20, 4)), torch.full((20,), 7))
with contextlib.suppress(IndexError):  # target 7 is out of bounds
    maker.forward_and_backward()

print("expected: mean")
print(f"found: {loss.reduction}")
