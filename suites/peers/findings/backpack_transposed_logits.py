"""Logits (N, T, C) that are transposed before the loss are not noticed if T = C: what is propagated is kept by address.

With T other than C it is an error, as it is with most operations outside of modules. Trace of the GGN of the weight.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 3, 2), torch.randint(3, (4, 3))
layer, loss = extend(nn.Linear(2, 3)), extend(nn.CrossEntropyLoss())

roots = torch.autograd.functional.jacobian(lambda w: (x @ w.mT + layer.bias).flatten(0, 1), layer.weight)
p = layer(x).flatten(0, 1).softmax(1)
hessians = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
jacobian = roots.flatten(2).unflatten(0, (4, 3)).flatten(0, 1)  # (N T, C, P): the terms are independent
expected = torch.einsum("ncp,ncd,ndp->", jacobian, hessians, jacobian) / 12

found = f"{expected:.4g}"  # a refusal is as good
try:
    with backpack(extensions.DiagGGNExact()):
        loss(layer(x).transpose(1, 2), y).backward()
    found = f"{layer.weight.diag_ggn_exact.sum():.4g}"
except (AssertionError, NotImplementedError):
    pass

print(f"expected: {expected:.4g}")
print(f"found: {found}")
