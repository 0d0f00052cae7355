"""update_inv adds the damping to the matrix itself and takes it off again: digits of the matrix are lost for good.

The trace of the matrix before and after an inverse at damping 1e6, in float32.
"""

import torch
from asdl.symmatrix import SymMatrix

torch.manual_seed(0)
rows = torch.randn(20, 4) / 100
matrix = SymMatrix(data=rows.T @ rows)
before = matrix.data.trace().clone()
matrix.update_inv(damping=1e6)

print(f"expected: {before:.4g}")
print(f"found: {matrix.data.trace():.4g}")
