"""Factors are damped by at least 1e-7 whatever the damping: a layer with small gradients is not inverted without it.

The norm of the inverse of a factor B that is 1e-8 times the identity, undamped.
"""

import torch
from asdl.symmatrix import SymMatrix

matrix = SymMatrix(kron_A=torch.eye(3).double(), kron_B=1e-8 * torch.eye(2).double())
matrix.update_inv(damping=0.0)

print(f"expected: {1e8:.4g}")
print(f"found: {torch.linalg.matrix_norm(matrix.kron.B_inv, 2):.4g}")
