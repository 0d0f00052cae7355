"""AdaHessian takes |H z| for z * H z: its mean is not the diagonal of the Hessian.

A Hessian [[1, 3], [3, 1]]: z * H z is 4 or -2 and 1 in the mean, its absolute value 3."""

import torch
from torch import nn
from torch_optimizer import Adahessian

torch.manual_seed(0)
H = torch.tensor([[1.0, 3.0], [3.0, 1.0]])
x = nn.Parameter(torch.zeros(2))
optimizer = Adahessian([x])
(gradient,) = torch.autograd.grad(0.5 * x @ H @ x, x, create_graph=True)
draws = torch.stack([optimizer.get_trace([x], [gradient])[0] for _ in range(4000)])
print(f"expected: {H[0, 0]:.1g}")
print(f"found: {draws.mean():.1g}")
