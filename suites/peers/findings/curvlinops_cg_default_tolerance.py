"""The inverse by conjugate gradients stops, by default, at a residual as large as the right-hand side."""

import torch
from curvlinops import CGInverseLinearOperator
from curvlinops.examples import TensorLinearOperator

torch.manual_seed(0)
matrix = torch.diag(torch.logspace(-3, 0, 100)).double()
right = torch.randn(100).double()
solution = CGInverseLinearOperator(TensorLinearOperator(matrix)) @ right
exact = right / matrix.diag()
print(f"expected: {exact.norm():.4g}")
print(f"found: {solution.norm():.4g}")
