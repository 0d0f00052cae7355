"""The Hadamard form of the class-wise kernel is wrong for convolutions: gradients of positions do not multiply like that.

The trace of the kernel of the first class, by one backward pass a sample; its direct form is right.
"""

import torch
from asdl.kernel import empirical_class_wise_hadamard_ntk

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(8, 3))
inputs = torch.randn(6, 1, 3, 3)
exact = 0.0
for x in inputs:
    exact += sum((g**2).sum() for g in torch.autograd.grad(model(x[None])[0, 0], list(model.parameters())))
kernel = empirical_class_wise_hadamard_ntk(model, inputs)

print(f"expected: {exact:.4g}")
print(f"found: {sum(kernel[i, i, 0] for i in range(6)):.4g}")
