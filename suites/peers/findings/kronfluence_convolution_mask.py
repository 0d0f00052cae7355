"""The attention mask of a task is applied by Linear layers and ignored by Conv2d: masked samples count in its A."""

import torch
from kronfluence.analyzer import prepare_model
from kronfluence.task import Task
from torch import nn


class Regression(Task):
    """A summed loss."""

    def compute_train_loss(self, batch, model, sample=False):
        return model(batch).square().sum()

    compute_measurement = compute_train_loss


def trace(layer, x):
    """Of A."""
    tracked = prepare_model(nn.Sequential(layer), Regression())[0]
    tracked.set_attention_mask(torch.tensor([[1], [1], [0], [0]]))
    activation, count = tracked.get_flattened_activation(x.clone())
    return activation.square().sum() / count


torch.manual_seed(0)
x = torch.rand(4, 3) * torch.tensor([[1.0], [1.0], [9.0], [9.0]])
print(f"expected: {trace(nn.Linear(3, 2), x):.4g}")
print(f"found: {trace(nn.Conv2d(3, 2, 1), x[:, :, None, None]):.4g}")
