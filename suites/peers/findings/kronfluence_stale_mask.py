"""A batch without an attention mask after one with a mask: the old mask stays, and zeroes activations of the new batch."""

import torch
from kronfluence.analyzer import prepare_model
from kronfluence.arguments import FactorArguments
from kronfluence.factor.covariance import fit_covariance_matrices_with_loader
from kronfluence.task import Task
from kronfluence.utils.state import State
from torch import nn
from torch.utils.data import DataLoader


class Padded(Task):
    """A summed loss, and a mask where there is padding."""

    def compute_train_loss(self, batch, model, sample=False):
        return model(batch).square().sum()

    compute_measurement = compute_train_loss

    def get_attention_mask(self, batch):
        mask = (batch != 0).any(-1).long()
        return None if mask.all() else mask  # documented: None if padding is not used


torch.manual_seed(0)
x = torch.rand(4, 3, 2)
x[:2, 1:] = 0  # the first of two batches has padding
task = Padded()
model = prepare_model(nn.Sequential(nn.Linear(2, 1, bias=False)), task)
_, factors = fit_covariance_matrices_with_loader(
    model, State(cpu=True), task, DataLoader(x, 2), FactorArguments(use_empirical_fisher=True), disable_tqdm=True
)
A, count = factors["activation_covariance"]["0"], factors["num_activation_covariance_processed"]["0"].item()
print(f"expected: {x.square().sum() / (x != 0).any(-1).sum():.4g}")
print(f"found: {A.trace() / count:.4g}")
