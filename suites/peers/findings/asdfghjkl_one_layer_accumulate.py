"""A model that is one layer cannot accumulate: its matrix is taken for that of the whole model, and 'data do not exist'."""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Linear(4, 3)
inputs, labels = torch.randn(20, 4), torch.arange(20) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["diag"], data_size=20))
try:
    for half in (slice(0, 10), slice(10, 20)):
        maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs[half]), labels[half])
        maker.forward_and_backward(accumulate=half.start > 0)
    found = "a diagonal"
except ValueError as error:
    found = f"ValueError: {error}"

print("expected: a diagonal")
print(f"found: {found}")
