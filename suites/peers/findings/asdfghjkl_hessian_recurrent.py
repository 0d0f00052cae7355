"""The Hessian by layer crashes on a model with a GRU, whose attribute bias is a flag: 'bool' has no requires_grad."""

import torch
from asdl.hessian import HessianConfig, HessianMaker

torch.manual_seed(0)
gru = torch.nn.GRU(2, 3, batch_first=True)
maker = HessianMaker(gru, HessianConfig(hessian_shapes=["layer_wise"]))
outputs = maker.setup_model_call(gru, torch.randn(5, 4, 2))
maker.setup_loss_call(torch.nn.MSELoss(), outputs[0], torch.randn(5, 4, 3))
try:
    maker.forward_and_backward()
    found = "blocks or a refusal"
except AttributeError as error:
    found = f"AttributeError: {error}"

print("expected: blocks or a refusal")
print(f"found: {found}")
