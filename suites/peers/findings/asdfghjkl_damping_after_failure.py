"""Where the decomposition fails, the damping stays on the matrix: a caller who tries a larger one has a changed matrix."""

import contextlib

import torch
from asdl.symmatrix import SymMatrix

matrix = SymMatrix(data=torch.diag(torch.tensor([1.0, -2.0])))
before = matrix.data.trace().clone()
with contextlib.suppress(RuntimeError):  # it is not positive definite
    matrix.update_inv(damping=1.0)

print(f"expected: {before:.4g}")
print(f"found: {matrix.data.trace():.4g}")
