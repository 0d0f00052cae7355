"""A transposed convolution with output_padding fails in einsum, not with a refusal."""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(4, 2, 3), torch.randint(3, (4,))
convolution = nn.ConvTranspose1d(2, 2, 2, stride=2, output_padding=1)
model = extend(nn.Sequential(convolution, nn.Flatten(), nn.Linear(14, 3)))
loss = extend(nn.CrossEntropyLoss())

found = "a number or a refusal"
try:
    with backpack(extensions.BatchGrad()):
        loss(model(x), y).backward()
except NotImplementedError:
    pass
except RuntimeError as error:
    found = f"RuntimeError: {error}"

print("expected: a number or a refusal")
print(f"found: {found[:40]}")
