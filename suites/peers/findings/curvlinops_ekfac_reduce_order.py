"""EKFAC with reduce depends on the order of the samples: gradients reach into the null space of A, whose basis is rounding."""

import torch
from curvlinops import EKFACLinearOperator
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(2, 2, 2, bias=False), nn.Tanh(), nn.Flatten(), nn.Linear(18, 2)).double()
inputs, targets = torch.randn(3, 2, 4, 4).double(), torch.randn(3, 2).double()
vector = torch.randn(16).double()


def norm(order: list[int]) -> float:
    """Of a product of the library's EKFAC of the convolution."""
    data = [(inputs[order], targets[order])]
    options = {"fisher_type": "type-2", "kfac_approx": "reduce", "check_deterministic": False}
    operator = EKFACLinearOperator(model, nn.MSELoss(), [model[0].weight], data, **options)
    return float((operator @ vector).norm())


here, there = norm([0, 1, 2]), norm([2, 0, 1])
print(f"{here:.4g} and {there:.4g}")  # the figures are those of rounding
print("expected: the same product")
print(f"found: {'the same' if abs(there - here) < 1e-6 * here else 'another'} product")
