"""XTrace and XDiag invert a triangular factor that is singular if the rank is below half the number of products."""

import torch
from curvlinops import xtrace
from curvlinops.examples import TensorLinearOperator

torch.manual_seed(0)
matrix = torch.zeros(6, 6).double()
matrix[0, 0] = 3.0
try:
    found = f"{xtrace(TensorLinearOperator(matrix), num_matvecs=4):.4g}"
except Exception as error:
    found = type(error).__name__
print("expected: 3")
print(f"found: {found}")
