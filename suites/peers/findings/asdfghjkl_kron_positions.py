"""The factor A of a Linear on (N, T, D) is divided by data_size alone: it is T times the second moment of its inputs.

Of a Conv2d of width one on the same data it is divided by the positions too. The trace of A, with a mean over positions.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
layer = torch.nn.Linear(2, 3)
model = torch.nn.Sequential(layer)
inputs, labels = torch.randn(10, 4, 2), torch.arange(10) % 3
exact = (inputs**2).sum(2).mean()

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kron"], data_size=10))
outputs = maker.setup_model_call(lambda x: layer(x).mean(1), inputs)
maker.setup_loss_call(F.cross_entropy, outputs, labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {layer.fisher.kron.A.trace():.4g}")
