"""The block of a bias is damped by sqrt(damping) / pi, the share of G in the damping of the weight's block, not by the damping.

(B + damping I)^-1 for a bias with the block B, its first entry, at damping 100.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 2)).double()
inputs = torch.randn(20, 4).double()
maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["kron"], "mse", data_size=20))
maker.setup_model_call(model, inputs)
maker.forward_and_backward()
kron = model[0].fisher.kron  # under squared error B, the exact block of the bias, is the identity

exact = torch.linalg.inv(torch.eye(2).double() + 100 * torch.eye(2).double())[0, 0]
kron.update_inv(damping=100.0)
ones = torch.tensor([1.0, 0.0]).double()
_, found = kron.mvp(vec_weight=torch.zeros(2, 4).double(), vec_bias=ones, use_inv=True)

print(f"expected: {exact:.4g}")
print(f"found: {found[0]:.4g}")
