"""The Hessian by layer and its diagonal know parameters called weight and bias: others are left out without a word.

The number of rows of all blocks, for a model whose first layer has a parameter of another name.
"""

import torch
from asdl.hessian import HessianConfig, HessianMaker


class Shift(torch.nn.Module):
    """Adds a parameter called shift."""

    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        """The shifted input."""
        return x + self.shift


torch.manual_seed(0)
model = torch.nn.Sequential(Shift(), torch.nn.Linear(3, 2))
maker = HessianMaker(model, HessianConfig(hessian_shapes=["layer_wise"]))
maker.setup_loss_call(torch.nn.MSELoss(), maker.setup_model_call(model, torch.randn(5, 3)), torch.randn(5, 2))
maker.forward_and_backward()

print(f"expected: {sum(p.numel() for p in model.parameters()):.4g}")
print(f"found: {sum(len(m.hessian.data) for m in model if hasattr(m, 'hessian')):.4g}")
