"""scale, 'the scale of Fisher information matrix', multiplies both Kronecker factors: the matrix is multiplied by its square.

The trace of B kron A at scale=3 over that at scale=1. With data_size the same holds: it divides both.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3))
inputs = torch.randn(20, 4)
traces = []
for scale in (1.0, 3.0):
    config = FisherConfig("fisher_exact", ["kron"], "cross_entropy", data_size=20, scale=scale)
    maker = get_fisher_maker(model, config)
    maker.setup_model_call(model, inputs)
    maker.forward_and_backward()
    traces.append(model[0].fisher.kron.trace())

print(f"expected: {3.0:.4g}")
print(f"found: {traces[1] / traces[0]:.4g}")
