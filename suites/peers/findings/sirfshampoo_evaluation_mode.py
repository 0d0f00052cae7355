"""A model in evaluation mode: the hook counts no samples, the batch size stays 0, and G G' drops out of the update."""

import torch
from sirfshampoo import SIRFShampoo
from torch import nn


def trace(training):
    """Of the momentum of the left factor."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2, bias=False).train(training)  # the mode changes nothing in this model
    optimizer = SIRFShampoo(model, lam=0.0)
    model(10 * torch.rand(4, 3)).square().mean().backward()
    optimizer.step()
    return optimizer.preconditioner_momenta[0][0].to_dense().trace()


print(f"expected: {trace(True):.4g}")
print(f"found: {trace(False):.4g}")
