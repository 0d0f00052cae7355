"""inv_kfacs caps the inverse of every eigenvalue at 1e8, whatever the scale of the factor: 1e-10 has the inverse 1e8."""

import torch
from backpack.utils.kroneckers import inv_kfacs

factor = 1e-10 * torch.eye(2, dtype=torch.float64)  # well-conditioned; gradients of 1e-5 give such a factor
found = inv_kfacs([factor])[0]

print(f"expected: {torch.linalg.inv(factor)[0, 0]:.4g}")
print(f"found: {found[0, 0]:.4g}")
