"""Conv2d with padding='same' crashes while its padding is unpacked; 'valid' is catered for, a dilation is refused in words."""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding="same"), torch.nn.Flatten(), torch.nn.Linear(18, 3))
inputs, labels = torch.randn(10, 1, 3, 3), torch.arange(10) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["diag"], data_size=10))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
try:
    maker.forward_and_backward()
    found = "a number or a refusal"
except ValueError as error:
    found = "a number or a refusal" if "padding" in str(error) else f"ValueError: {error}"

print("expected: a number or a refusal")
print(f"found: {found}")
