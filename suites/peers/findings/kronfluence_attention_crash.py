"""A model with ``nn.MultiheadAttention``: ``prepare_model`` looks its projection's class up by exact type."""

from kronfluence.analyzer import prepare_model
from kronfluence.task import Task
from torch import nn


class Classification(Task):
    """A summed loss."""

    def compute_train_loss(self, batch, model, sample=False):
        return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")

    compute_measurement = compute_train_loss


found = "a prepared model or a refusal"
try:
    prepare_model(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), Classification())
except ValueError:
    pass
except KeyError as error:
    found = f"KeyError: {error.args[0].__name__}"
print("expected: a prepared model or a refusal")
print(f"found: {found}")
