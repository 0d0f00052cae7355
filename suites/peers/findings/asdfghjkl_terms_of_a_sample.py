"""With a loss at every position, a Conv2d takes an image for a sample and a Linear a position: one map, two Fishers.

The trace of the weight's block for a convolution of width one, and for the same map as a Linear on positions.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
linear = torch.nn.Sequential(torch.nn.Linear(2, 3))
convolution = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1))
with torch.no_grad():
    convolution[0].weight.copy_(linear[0].weight[:, :, None, None])
    convolution[0].bias.copy_(linear[0].bias)
images, targets = torch.randn(10, 2, 4, 1), torch.randn(10, 3, 4, 1)


def trace(model, inputs, targets):
    """Of the weight's block."""
    maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["diag"], data_size=40))
    maker.setup_loss_call(torch.nn.MSELoss(), maker.setup_model_call(model, inputs), targets)
    maker.forward_and_backward()
    return model[0].fisher.diag.weight.sum()


rows = [t.squeeze(3).mT for t in (images, targets)]
print(f"expected: {trace(linear, *rows):.4g}")
print(f"found: {trace(convolution, images, targets):.4g}")
