"""``perform_eigendecomposition`` divides the covariances of its caller in place when they are double already."""

import torch
from kronfluence.analyzer import prepare_model
from kronfluence.arguments import FactorArguments
from kronfluence.factor.eigen import perform_eigendecomposition
from kronfluence.task import Task
from kronfluence.utils.state import State
from torch import nn


class Regression(Task):
    """A summed loss."""

    def compute_train_loss(self, batch, model, sample=False):
        return model(batch).square().sum()

    compute_measurement = compute_train_loss


model = prepare_model(nn.Sequential(nn.Linear(2, 2, bias=False)), Regression())
names = ("activation_covariance", "gradient_covariance")
factors = {name: {"0": 4 * torch.eye(2, dtype=torch.float64)} for name in names}
factors |= {f"num_{name}_processed": {"0": torch.tensor([4])} for name in names}
perform_eigendecomposition(factors, model, State(cpu=True), FactorArguments(), disable_tqdm=True)
again = perform_eigendecomposition(factors, model, State(cpu=True), FactorArguments(), disable_tqdm=True)
print("expected: 1")
print(f"found: {again['activation_eigenvalues']['0'].mean():.4g}")
