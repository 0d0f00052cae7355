"""The shape kfe ignores scale and data_size: it divides by the rows of the batch whatever is asked for.

The trace of the empirical Fisher's weight block with scale=10.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3)).double()
inputs, labels = torch.randn(20, 4).double(), torch.arange(20) % 3
r = (model(inputs).softmax(1) - torch.eye(3).double()[labels]).detach()
exact = 10 * ((r**2).sum(1) * (inputs**2).sum(1)).mean()

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kfe"], data_size=20, scale=10.0))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model[0].fisher.kfe.scale[0].sum():.4g}")
