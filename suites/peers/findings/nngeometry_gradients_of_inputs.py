"""Only a head is asked for, behind a frozen body without a graph: an error, since the inputs are differentiated."""

import torch
from nngeometry.layercollection import LayerCollection
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn


class _Headed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, inputs):
        with torch.no_grad():
            features = torch.tanh(self.body(inputs))
        return self.head(features)


torch.manual_seed(0)
model, X = _Headed(), torch.randn(5, 3)
layers = LayerCollection()
layers.add_layer_from_model(model, model.head)
expected = 2 * (1 + torch.tanh(model.body(X)).pow(2).sum(1)).mean()
try:
    found = f"{FIM(model, (X, X), PMatDense, 'regression', layer_collection=layers).trace():.4g}"
except Exception as error:
    found = type(error).__name__
print(f"expected: {expected:.4g}")
print(f"found: {found}")
