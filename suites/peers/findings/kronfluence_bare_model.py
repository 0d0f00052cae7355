"""A model that is a single layer: ``prepare_model`` makes the layer its own child, and walks never end."""

import torch
from kronfluence.analyzer import prepare_model
from kronfluence.task import Task
from torch import nn


class Regression(Task):
    """A summed loss."""

    def compute_train_loss(self, batch, model, sample=False):
        return nn.functional.mse_loss(model(batch[0]), batch[1], reduction="sum")

    compute_measurement = compute_train_loss


found = "a prepared model or a refusal"
try:
    model = prepare_model(nn.Linear(3, 2), Regression())
    model.train(False)
    model(torch.ones(1, 3))
except ValueError:
    pass
except RecursionError:
    found = "RecursionError: maximum recursion depth exceeded"
print("expected: a prepared model or a refusal")
print(f"found: {found}")
