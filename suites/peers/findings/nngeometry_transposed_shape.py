"""The weight of a ConvTranspose2d, (in, out, ...), is registered as (out, in, ...): a vector cannot be put into the model."""

import torch
from nngeometry.object.vector import PVector
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.ConvTranspose2d(2, 3, 2))
vector = PVector.from_model(model)
doubled = PVector(vector.layer_collection, vector_repr=2 * vector.to_torch().detach())
expected = 2 * model[0].weight.norm().item()
try:
    doubled.copy_to_model(model)
    found = f"{model[0].weight.norm():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
