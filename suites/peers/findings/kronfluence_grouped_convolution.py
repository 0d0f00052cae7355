"""A convolution with groups: the gradient of a sample is computed from inputs averaged over the groups."""

import torch
from kronfluence.analyzer import prepare_model
from kronfluence.task import Task
from torch import nn


class Regression(Task):
    """A summed loss."""

    def compute_train_loss(self, batch, model, sample=False):
        return model(batch).square().sum()

    compute_measurement = compute_train_loss


torch.manual_seed(0)
layer, x = nn.Conv2d(2, 2, 2, groups=2, bias=False), torch.randn(1, 2, 3, 3)
outputs = layer(x)
outputs.square().sum().backward()
expected = layer.weight.grad.norm()

tracked = prepare_model(nn.Sequential(layer), Regression())[0]
found = tracked.compute_per_sample_gradient(input_activation=x, output_gradient=2 * outputs.detach())
print(f"expected: {expected:.4g}")
print(f"found: {found.norm():.4g}")
