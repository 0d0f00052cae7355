"""K-FAC of a layer with T positions is T times too small: A and G are both divided by N T, EKFAC's eigenvalues by N.

Inputs of ones, a gradient at one of 8 positions of each sample: the block of the one weight is known, and K-FAC is exact."""

import tempfile
import warnings

import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments
from kronfluence.task import Task
from torch import nn
from torch.utils.data import TensorDataset


class Regression(Task):
    """A summed loss whose gradients at the outputs are the second part of the data."""

    def compute_train_loss(self, batch, model, sample=False):
        return (model(batch[0]) * batch[1]).sum()

    compute_measurement = compute_train_loss


warnings.simplefilter("ignore")
torch.manual_seed(0)
x, g = torch.ones(50, 8, 1), torch.randn(50, 8, 1)
g[:, 1:] = 0
task, folder = Regression(), tempfile.TemporaryDirectory()
model = prepare_model(nn.Sequential(nn.Linear(1, 1, bias=False)), task)
analyzer = Analyzer("a", model, task, cpu=True, disable_tqdm=True, output_dir=folder.name)
arguments = FactorArguments(strategy="kfac", use_empirical_fisher=True)
analyzer.fit_all_factors("f", TensorDataset(x, g), per_device_batch_size=50, factor_args=arguments)
factors = analyzer.load_eigendecomposition("f")
print(f"expected: {(x * g).sum(1).square().mean():.4g}")
print(f"found: {(factors['activation_eigenvalues']['0'] * factors['gradient_eigenvalues']['0']).item():.4g}")
