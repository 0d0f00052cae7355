"""The product of the shape kfe uses the eigenvectors untransposed, U V U for U' V U and back: it is not the damped inverse.

Its quadratic form v' (F + eps)^-1 v for the weight, by the library's own eigenvectors and scales.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3)).double()
inputs, labels = torch.randn(20, 4).double(), torch.arange(20) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kfe"], data_size=20))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()
kfe = model[0].fisher.kfe
v = torch.randn(3, 4).double()
exact = ((kfe.Ub.T @ v @ kfe.Ua) ** 2 / (kfe.scale[0] + 0.1)).sum()
found = (v * kfe.mvp(vec_weight=v.clone(), eps=0.1)).sum()

print(f"expected: {exact:.4g}")
print(f"found: {found:.4g}")
