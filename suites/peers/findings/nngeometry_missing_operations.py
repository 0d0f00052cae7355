"""What two representations lack ends in a TypeError, not in a refusal: the damped solution, and the diagonal of EKFAC."""

import torch
from nngeometry.layercollection import LayerCollection
from nngeometry.metrics import FIM
from nngeometry.object import PMatEKFAC, PMatImplicit
from nngeometry.object.vector import PVector
from torch import nn


def _outcome(function):
    try:
        function()
    except NotImplementedError:
        return "a value or a refusal"
    except Exception as error:
        return type(error).__name__
    return "a value or a refusal"


torch.manual_seed(0)
model, X = nn.Linear(3, 2), torch.randn(4, 3)
vector = PVector(LayerCollection.from_model(model), vector_repr=torch.ones(8))
implicit = FIM(model, (X, X), PMatImplicit, "regression")
eigen = FIM(model, (X, X), PMatEKFAC, "regression")
found = {_outcome(lambda: implicit.solve(vector, regul=0.1)), _outcome(lambda: eigen.get_diag())}
print("expected: a value or a refusal")
print(f"found: {', '.join(sorted(found))}")
