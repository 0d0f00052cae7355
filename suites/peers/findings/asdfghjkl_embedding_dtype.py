"""The gradients of samples of an Embedding are made in the default dtype: a float64 model crashes."""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Embedding(5, 3)).double()
tokens, labels = torch.randint(5, (20,)), torch.arange(20) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=20))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, tokens), labels)
try:
    maker.forward_and_backward()
    found = str(model.fisher.data.dtype)
except RuntimeError as error:
    found = f"RuntimeError: {str(error)[:60]}"

print("expected: torch.float64")
print(f"found: {found}")
