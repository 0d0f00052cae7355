"""Factors of the empirical Fisher draw nothing, yet fitting them moves torch's global random state."""

import tempfile
import warnings

import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments
from kronfluence.task import Task
from torch import nn
from torch.utils.data import TensorDataset


class Regression(Task):
    """A summed loss."""

    def compute_train_loss(self, batch, model, sample=False):
        return nn.functional.mse_loss(model(batch[0]), batch[1], reduction="sum")

    compute_measurement = compute_train_loss


warnings.simplefilter("ignore")
torch.manual_seed(0)
task, folder = Regression(), tempfile.TemporaryDirectory()
model = prepare_model(nn.Sequential(nn.Linear(3, 2)), task)
analyzer = Analyzer("a", model, task, cpu=True, disable_tqdm=True, output_dir=folder.name)
before = torch.get_rng_state()
data, arguments = TensorDataset(torch.ones(4, 3), torch.ones(4, 2)), FactorArguments(use_empirical_fisher=True)
analyzer.fit_all_factors("f", data, per_device_batch_size=4, factor_args=arguments)
print("expected: random state untouched")
print(f"found: random state {'untouched' if torch.equal(before, torch.get_rng_state()) else 'moved'}")
